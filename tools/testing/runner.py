"""run_tests: run a repository's tests in a workspace; warm for quick feedback, cold for a verdict."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from ..project.spec import Project
from ..sandbox import Sandbox
from ..workspace import Workspace
from .coverage_map import CoverageMap
from .report import Baseline, Comparison, TestReport, compare
from .warm.bytecode import Bytecode
from .warm.cold import check_name, run_cold, write_log
from .warm.delta import untouched
from .warm.progress import OnProgress
from .warm.request import Events
from .warm.runner import WarmRunner


class TestRunner:
    """Runs the tests of one project. Safe to use from several threads at once.

    `baseline` may be set at any time; `run` does not need it. Runs are logged to `log_dir` in full.
    """

    __test__ = False

    def __init__(
        self,
        project: Project,
        *,
        baseline: Baseline | None = None,
        log_dir: Path | None = None,
        bytecode: Path | None = None,
        warm: bool = True,
    ) -> None:
        """`bytecode` is an empty folder among the sandbox's read-only paths (see `tools/testing/warm/bytecode`)."""
        self.project = project
        self.baseline = baseline
        self.limit_s: float | None = None
        """Longest a single test may take in a cold run, in seconds; None: as long as the run."""
        self.on_progress: OnProgress | None = None
        """Hears how far a cold run is."""
        self._log_dir = log_dir
        self._bytecode = Bytecode(bytecode)
        self._asked = 0
        warmable = warm and project.test_command.runner == "pytest" and project.python is not None
        self._warm = WarmRunner(project, bytecode=self._bytecode) if warmable else None
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def run(
        self,
        workspace: Workspace,
        selection: Sequence[str] = (),
        *,
        timeout: float | None = None,
        cold: bool = False,
        disguise: bool = False,
    ) -> TestReport:
        """Run the tests, or those that `selection` names: ids as reports print them, files or folders.

        Names that match nothing are in the report's `unknown` and `collection_errors`. The working tree
        is left as it was. A selection that is run again may be run warm (see `tools/testing/warm/runner`): the report
        says so. `timeout` is in seconds, by default the test command's own; what had finished
        before it is kept. With `cold` the run happens in a fresh process: every final verdict is one. A `disguise` (cold
        runs of pytest) hides from the code under test what tells it that it is tested, as far as that can be hidden.

        Raises: ToolError for a name that cannot be a test; SandboxError.
        """
        names = [check_name(name) for name in selection]
        limit = timeout if timeout is not None else self.project.test_command.timeout_s
        log = self._log()
        if not cold and self._warm is not None:
            report = self._warm.run(workspace, names, timeout=limit)
            if report is not None:
                return replace(report, log_path=write_log(log, report.output))
        on_base = self._gathers(workspace)
        with self._tree(workspace) as tree:
            report, _ = self._cold(
                tree.sandbox, names, limit, log, on_base=on_base, audit=cold, disguise=disguise
            )
        if self._warm is not None and not cold:
            self._warm.note(names, report)
        return report

    def against_base(self, report: TestReport, *, partial: bool) -> Comparison | None:
        """The report against `baseline`; None without one."""
        return compare(self.baseline, report, partial=partial) if self.baseline else None

    def measure_baseline(
        self, workspace: Workspace, runs: int = 2, *, timeout: float | None = None
    ) -> Baseline:
        """Run the whole suite `runs` times on forks of `workspace`, cold, and keep the result as
        `baseline`; tests whose outcome differs between the runs are flaky. Raises: SandboxError."""
        limit = timeout if timeout is not None else self.project.test_command.timeout_s
        reports: list[TestReport] = []
        for _ in range(max(1, runs)):
            on_base = self._gathers(workspace)
            with workspace.fork() as fork:
                report, _ = self._cold(fork.sandbox, (), limit, self._log(), on_base=on_base)
            reports.append(report)
            if report.timed_out:
                break
        self.baseline = Baseline.of(reports)
        return self.baseline

    def map_coverage(
        self, workspace: Workspace, selection: Sequence[str] = (), *, timeout: float | None = None
    ) -> CoverageMap:
        """Run tests once with line tracing, on a fork, and say which test executes which lines.

        Costs a traced run (2 to 30 times a plain one); pytest only, elsewhere the map is empty.
        Raises: ToolError, SandboxError.
        """
        if self.project.test_command.runner != "pytest":
            return CoverageMap({})
        names = [check_name(name) for name in selection]
        limit = timeout if timeout is not None else self.project.test_command.timeout_s
        with workspace.fork() as fork:
            report, events = self._cold(fork.sandbox, names, limit, self._log(), coverage=True)
        return CoverageMap.of(events.covered, cut_off=report.timed_out)

    def prime(
        self, workspace: Workspace, selection: Sequence[str] = (), *, timeout: float | None = None
    ) -> str:
        """Make the next runs of `selection` warm: without this its second run does. Costs a few cold runs.
        Returns why it will be run cold all the same, "" when it will not. Raises: ToolError, SandboxError."""
        if self._warm is None:
            return "only pytest is run warm"
        names = [check_name(name) for name in selection]
        if self._gathers(workspace):
            with workspace.fork() as fork:
                limit = timeout or self.project.test_command.timeout_s
                self._cold(fork.sandbox, names, limit, self._log(), on_base=True)
        self._warm.expect(names)
        self._warm.run(workspace, names, timeout=timeout or self.project.test_command.timeout_s)
        return self._warm.why_cold(names)

    def why_cold(self, selection: Sequence[str] = ()) -> str:
        """Why a selection is not run warm; "" when it is or may be."""
        return "only pytest is run warm" if self._warm is None else self._warm.why_cold(selection)

    def close(self) -> None:
        """Stop the processes kept for warm runs. Idempotent; `run` starts them anew."""
        if self._warm is not None:
            self._warm.close()

    def __enter__(self) -> TestRunner:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _cold(
        self,
        sandbox: Sandbox,
        names: Sequence[str],
        timeout: float,
        log: Path | None,
        coverage: bool = False,
        on_base: bool = False,
        audit: bool = False,
        disguise: bool = False,
    ) -> tuple[TestReport, Events]:
        return run_cold(
            sandbox,
            self.project,
            names,
            timeout=timeout,
            log=log,
            coverage=coverage,
            bytecode=self._bytecode,
            on_base=on_base,
            audit=audit,
            disguise=disguise,
            limit_s=self.limit_s,
            on_progress=self.on_progress,
        )

    def _gathers(self, workspace: Workspace) -> bool:
        """Whether bytecode is still wanted and this tree, being the base commit's, may give it."""
        if self._bytecode.filled or self.project.test_command.runner != "pytest" or self._asked > 3:
            return False
        self._asked += 1
        return untouched(workspace)

    def _log(self) -> Path | None:
        if self._log_dir is None:
            return None
        with self._lock:
            return self._log_dir / f"tests-{next(self._numbers):04d}.log"

    def _tree(self, workspace: Workspace) -> AbstractContextManager[Workspace]:
        """Where a run happens: on a fork where forking is cheap, so that files that tests write never
        reach the workspace."""
        if workspace.sandbox.kind == "namespace":
            return workspace.fork()
        return nullcontext(workspace)
