"""Feedback: the tests as a role runs them: nearest first where all would take too long, compared with the base by
asking it only about what fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...tools.errors import PatchError
from ...tools.patch import Patch
from ...tools.testing.report import Comparison, TestReport
from ...tools.workspace import Workspace
from .purchase import buy, wall_of
from .suite import Suite


class Feedback:
    """What `runTests` asks; see `tools/toolbox/run_tests`."""

    __test__ = False

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def run(
        self,
        workspace: Workspace,
        selection: Sequence[str] = (),
        *,
        timeout: float | None = None,
        cold: bool = False,
    ) -> TestReport:
        """Run the selection; without one the whole suite where it fits the time of a candidate's check, else the test
        files nearest to what was changed. Raises: ToolError, SandboxError."""
        suite = self._suite
        budget = min(timeout or suite.verify.candidate_s, suite.room())
        timeout = suite.within_run(timeout)
        if selection or suite.fits(budget) or suite.commit.small:
            return suite.runner.run(workspace, selection, timeout=timeout, cold=cold)
        try:
            patch = workspace.diff()
        except PatchError:
            patch = Patch("")
        ranked = suite.commit.nearest(patch)
        plan, wall = suite.nearby(ranked, budget), min(wall_of(budget), timeout or wall_of(budget))
        bought = buy(suite.runner, workspace, plan.parts, wall_s=wall, cold=cold, stop=suite.commit.stop)
        chosen = (
            f"{len(bought.files)} of {len(ranked)} test files were run, nearest to the change first; name test files "
            "to run others"
        )
        return replace(bought.report(), chosen=chosen, timed_out=False)

    def against_base(self, report: TestReport, *, partial: bool) -> Comparison | None:
        """What the run changed; None where nothing is known of the base."""
        if self._suite.baseline.problem:
            return None
        return self._suite.against_base(report, partial=partial or bool(report.chosen))
