"""measure: the components of the shaped reward of a workspace, measured by running things."""

from __future__ import annotations

import time
from collections.abc import Collection

from ....tools.project.spec import Project
from ....tools.testing.report import Baseline, TestReport, compare
from ....tools.testing.runner import TestRunner
from ....tools.workspace import Workspace
from .coverage import line_coverage
from .lint import new_findings
from .shaped import Measurements


def measure(
    workspace: Workspace,
    project: Project,
    runner: TestRunner,
    baseline: Baseline,
    *,
    targets: Collection[str] = (),
    protected: Collection[str] = (),
    base_coverage: float | None = None,
    wall_s: float | None = None,
) -> tuple[Measurements, TestReport]:
    """Run the whole suite (cold), coverage.py and ruff on the workspace as it stands.

    `targets` are the FAIL_TO_PASS tests (empty: those failing on the base commit); `protected` are paths the
    patch must not touch; coverage is measured only where `base_coverage` is known; `wall_s` defaults to the
    seconds of the test run. Raises: SandboxError.
    """
    started = time.perf_counter()
    report = runner.run(workspace, cold=True)
    spent = time.perf_counter() - started
    wanted = set(targets) or baseline.failing
    comparison = compare(baseline, report)
    patch = workspace.diff()
    after = line_coverage(workspace, project) if base_coverage is not None else None
    touched = set() if patch.is_empty else set(patch.files)
    return (
        Measurements(
            pass_rate=len(wanted & report.passing) / len(wanted) if wanted else None,
            coverage_change=after - base_coverage
            if after is not None and base_coverage is not None
            else None,
            lint_findings=new_findings(patch) if not patch.is_empty else 0,
            wall_s=spent if wall_s is None else wall_s,
            regressions=len(comparison.broken),
            protected_edits=len(touched & set(protected)),
        ),
        report,
    )
