"""IssueTask and its prepared repository, shared by all environments of a process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from ....tools.errors import UsageError
from ....tools.history import prepare_repository
from ....tools.project.opening import Opening, open_workspace
from ....tools.project.spec import Project
from ....tools.testing.report import Baseline
from ....tools.testing.runner import TestRunner
from ....tools.workspace import Workspace
from ...solving.quality import Gauge, Measure
from ...solving.run_directory import cache_root


@dataclass(frozen=True, slots=True)
class IssueTask:
    """One issue to solve in one repository; values only, so that it can be copied to another process."""

    repository: str
    """Local path."""
    issue: str
    base: str | None = None
    instance_id: str = ""
    fail_to_pass: tuple[str, ...] = ()
    """Tests that decide; empty: those that fail on the base commit."""
    test_patch: str = ""
    """Applied only when the work is graded; the policy never sees it."""
    test_files: tuple[tuple[str, str], ...] = ()
    """(path, text) of tests that the policy is shown: in place from the start, and put back when it is graded."""
    image: str | None = None
    """Container image that holds the environment; needs the sandbox `docker`."""
    test_cmd: str | None = None
    setup: str | None = None
    python: str | None = None
    sandbox: str = "auto"
    measure: str = "auto"
    """What the reward weighs beyond tests, as `--measure` of `solve`."""


@dataclass(slots=True)
class PreparedTask:
    """A repository made ready once; episodes fork `base`."""

    base: Workspace
    project: Project
    baseline: Baseline
    targets: frozenset[str]
    """Tests that decide."""
    gauge: Gauge

    @property
    def visible(self) -> frozenset[str]:
        """Those of them that the base commit holds."""
        return self.targets & self.baseline.outcomes.keys()

    def runner(self) -> TestRunner:
        return TestRunner(self.project, baseline=self.baseline)


_PREPARED: dict[IssueTask, PreparedTask] = {}
_LOCK = threading.Lock()


def _forget() -> None:
    """What the parent prepared belongs to it: a forked child makes its own, and never closes its parent's."""
    global _LOCK
    _ABANDONED.update(_PREPARED)
    _PREPARED.clear()
    _LOCK = threading.Lock()


_ABANDONED: dict[IssueTask, PreparedTask] = {}
"""Keeps the parent's workspaces from being collected, and so from being closed, in a forked child."""
os.register_at_fork(after_in_child=_forget)


def prepared(task: IssueTask) -> PreparedTask:
    """The task made ready; prepared once per process and closed at its exit.

    Raises: UsageError when no test can decide; RepositoryError, ProjectError, SandboxError.
    """
    with _LOCK:
        if task not in _PREPARED:
            _PREPARED[task] = _prepare(task)
        return _PREPARED[task]


def _prepare(task: IssueTask) -> PreparedTask:
    work = Path(tempfile.mkdtemp(prefix="swe-agent-environment-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    base = prepare_repository(task.repository, task.base, work / "repository")
    opening = Opening(
        work / "repository",
        base,
        work / "scratch",
        cache_root(),
        sandbox=task.sandbox,
        image=task.image,
        python=task.python,
        setup=task.setup,
        test_cmd=task.test_cmd,
    )
    workspace, project = open_workspace(opening)
    atexit.register(workspace.close)
    for path, text in task.test_files:
        workspace.write_text(path, text)
    baseline = TestRunner(project).measure_baseline(workspace, runs=1)
    targets = frozenset(task.fail_to_pass) or baseline.failing
    if not targets:
        raise UsageError("no test decides this task: name fail_to_pass, or a repository with a failing test")
    gauge = Gauge(TestRunner(project, warm=False), workspace, Measure.of(task.measure))
    return PreparedTask(workspace, project, baseline, targets, gauge)
