"""Suite: the repository's tests, run nearest to a change first; the base is asked only about what fails.

A test that passes on the candidate needs no baseline. One that fails there is run on the base: failing there too it
is not the patch's, passing there it is broken, and one that does both is flaky. So nothing has to run before
somebody thinks, and a verdict says what was run of what could speak.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from ...tools.patch import Patch
from ...tools.testing.impact.change import Change
from ...tools.testing.impact.ranking import Impact
from ...tools.testing.report import Baseline, Comparison, TestReport, compare
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace
from .base_commit import CAP_S, BaseCommit
from .base_knowledge import KnowledgeCache
from .check import Check, Evidence, Verify
from .plan import CheckPlan, NoPlans, Plans, check_key
from .purchase import MOST_ASKED, NEAR, affordable, buy, chunks, patience, wall_of, without_cut
from .test_names import file_of

ASK_S = 30.0
"""Longest the base is asked about what fails on one candidate; on the last check as long as that may take."""
SUSPECTS, RERUNS = 20, 5
"""Tests that broke are run again on the base, at most so many, so often."""


class Suite:
    """Runs tests on forks, so that nothing they leave behind reaches a candidate. It knows no model and no record:
    whoever has a workspace on a base commit and a runner can ask `check` about a patch."""

    def __init__(
        self,
        runner: TestRunner,
        base: Workspace,
        impact: Impact | None = None,
        *,
        issue: str = "",
        verify: Verify | None = None,
        cache: KnowledgeCache | None = None,
        plans: Plans | None = None,
        left_s: Callable[[bool], float | None] = lambda final: None,
    ) -> None:
        """`base` is the untouched workspace on the base commit. Without `impact` test files are not ranked, and the
        suite is always run whole. The issue's words help to rank. `plans` remembers what a check was to run. `left_s`
        gives the seconds that the run still has, for the final check or before it (None: no limit)."""
        self.runner = runner
        self.base = base
        self.impact = impact
        self.verify = verify or Verify()
        self._plans = plans or NoPlans()
        self.commit = BaseCommit(runner, base, impact, issue, cache)
        runner.limit_s = self.verify.test_s
        self._left_s = left_s
        self._steady: set[str] = set()
        """Tests that were run again on the base and never changed their mind."""
        self._tried = False

    @property
    def baseline(self) -> Baseline:
        """What is known of the base commit so far."""
        return self.commit.baseline

    @property
    def whole(self) -> bool:
        """Whether that is the whole suite."""
        return self.commit.whole

    async def measure(self, runs: int = 2, *, left_s: float | None = None) -> Baseline:
        """See `BaseCommit.measure`."""
        return await self.commit.measure(runs, left_s=left_s)

    async def check(
        self, workspace: Workspace, patch: Patch, targets: Collection[str], *, final: bool = False
    ) -> Check:
        """Run tests on forks of `workspace`: the whole suite where it is known to fit the time, else the targets and
        then the files nearest to the patch that are expected to fit it. A final check is always cold.

        Raises: SandboxError; asyncio.CancelledError (no further run is begun then).
        """
        try:
            return await asyncio.to_thread(self._check, workspace, patch, frozenset(targets), final)
        except asyncio.CancelledError:
            self.commit.stop.set()
            raise

    def _check(self, workspace: Workspace, patch: Patch, targets: frozenset[str], final: bool) -> Check:
        with self.commit.ahead.aside():
            return self._checked(workspace, patch, targets, final)

    def _checked(self, workspace: Workspace, patch: Patch, targets: frozenset[str], final: bool) -> Check:
        ranked = [] if self.impact is None else self.commit.nearest(patch)
        plan, whole = self._plan(patch, targets, final, ranked), False
        if plan.whole:
            unhurried = self.verify.whole or self.commit.indivisible
            limit = self._left_s(final) if unhurried else self._within(wall_of(plan.budget_s), final)
            report = self.commit.run(workspace, (), limit, final)
            whole = not report.timed_out
            files = ranked if whole else []
        else:
            wall, stop = self._within(wall_of(plan.budget_s), final), self.commit.stop
            bought = buy(self.runner, workspace, plan.parts, wall_s=wall, cold=final, stop=stop)
            report, run = bought.report(), set(bought.files)
            files = [file for file in ranked if file in run]
        self.commit.note_durations(report.results, set(files) - set(patch.files))
        report = without_cut(report)
        asking_s = self.verify.final_s if final else ASK_S
        unknown = self._ask(report, patch, self._within(patience(asking_s), final))
        partial = not (whole and self.whole)
        comparison = self._compared(report, files, partial)
        again = self._settle(workspace, comparison.broken, final)
        comparison = self._compared(report, files, partial) if again else comparison
        unknown -= self.baseline.flaky
        files = [file for file in files if file not in comparison.still_failing]  # they cannot be collected
        evidence = self._evidence(report, files, patch, targets, whole, ranked)
        return Check(comparison, report, targets, targets & report.passing, evidence, frozenset(unknown))

    def _plan(self, patch: Patch, targets: frozenset[str], final: bool, ranked: Sequence[str]) -> CheckPlan:
        """What the check runs: as it was planned before, or decided now, before anything runs."""
        key = check_key(patch, targets, final=final)
        plan = self._plans.recall(key)
        budget = self.room(final)
        if plan is None or plan.whole:
            self._know_small(budget)
        if plan is None:
            plan = CheckPlan(True, (), budget) if self.fits(budget) else self.nearby(ranked, budget, targets)
            self._plans.keep(key, plan)
        return plan

    def nearby(self, ranked: Sequence[str], budget_s: float, targets: Collection[str] = ()) -> CheckPlan:
        """The targets, and the nearest files that are expected to fit the time."""
        durations = self.commit.durations
        files = chunks(affordable(ranked, durations, budget_s, self.verify.far_s), durations)
        return CheckPlan(False, (*([tuple(sorted(targets))] if targets else []), *files), budget_s)

    def room(self, final: bool = False) -> float:
        """Seconds that one check may take: what `verify` buys, within what the run has left."""
        return self._within(self.verify.final_s if final else self.verify.candidate_s, final)

    def _within(self, seconds: float, final: bool = False) -> float:
        left = self._left_s(final)
        return seconds if left is None else min(seconds, max(1.0, left))

    def within_run(self, timeout: float | None) -> float | None:
        """`timeout` (seconds; None: the test command's own), within what the run has left."""
        left = self._left_s(False)
        if left is None:
            return timeout
        return max(1.0, min(left, timeout or self.runner.project.test_command.timeout_s))

    def fits(self, budget_s: float) -> bool:
        """Whether the whole suite is run for one check: where it is asked for, where it cannot be divided, and where
        it is known to take less than `budget_s` seconds."""
        if self.verify.whole or self.commit.indivisible:
            return True
        return self.whole and (self.baseline.duration_s or 0.0) <= 0.8 * budget_s

    def _know_small(self, budget_s: float) -> None:
        """A small suite that the first look did not come to the end of is run whole on the base, once."""
        if self.whole or self._tried or self.baseline.problem:
            return
        if self.verify.whole or self.commit.indivisible:
            self.commit.learn((), CAP_S)
        elif self.commit.small:
            self.commit.learn((), self._within(patience(budget_s)))
        self._tried = True

    def failing_on_base(self, tests: Collection[str]) -> set[str]:
        """Those of `tests` that fail on the base commit, which is asked where it is not known. Blocking."""
        open_ = [test for test in tests if not self._is_known(test)]
        if open_:
            self.commit.learn(sorted(open_), self._within(patience(ASK_S)), runs=2)
        return set(tests) & self.baseline.failing

    def against_base(self, report: TestReport, *, partial: bool) -> Comparison:
        """What a role's own run changed; the base is asked about what fails. Blocking."""
        report = without_cut(report)
        self._ask(report, Patch(""), self._within(ASK_S / 2))
        compared = compare(self.baseline, report, partial=partial or not self.whole)
        there = {test for test in compared.new_passing if self.commit.has(test)}
        return replace(
            compared,
            new_passing=compared.new_passing - there,
            unchanged_passing=compared.unchanged_passing | there,
        )

    def _compared(self, report: TestReport, files: Iterable[str], partial: bool) -> Comparison:
        """The comparison; what passed on the base and is gone from a file that was run to its end is broken."""
        compared = compare(self.baseline, report, partial=partial)
        there = {test for test in compared.new_passing if self.commit.has(test)}
        ended = set(files) & self.commit.known.files
        gone = {
            test
            for test in self.baseline.passing - report.results.keys()
            if partial and file_of(test) in ended
        }
        return replace(
            compared,
            broken=compared.broken | gone,
            new_passing=compared.new_passing - there,
            unchanged_passing=compared.unchanged_passing | there,
        )

    def _ask(self, report: TestReport, patch: Patch, longest_s: float) -> set[str]:
        """Run on the base what fails and is not known there; also the test files that the patch changes, which
        may have lost tests. Returns the failing tests that remain unknown."""
        failing = {
            test for test in report.failing if test and self.commit.has(test) and not self._is_known(test)
        }
        changed = [] if patch.is_empty else [file for file in patch.files if file in self.commit.counts]
        asked = sorted(failing) if len(failing) <= MOST_ASKED else sorted({file_of(t) for t in failing})
        asked += [file for file in changed if file not in self.commit.known.files and file not in asked]
        if not asked or (self.whole and not failing):
            return set()
        if self.commit.ask(asked, longest_s):
            return set()  # what the base does not have is new
        return {test for test in failing if not self._is_known(test)}

    def _is_known(self, test: str) -> bool:
        return (
            test in self.baseline.outcomes or test in self.baseline.flaky or test in self.commit.known.files
        )

    def _settle(self, workspace: Workspace, broken: frozenset[str], final: bool) -> bool:
        """Two looks do not find every flaky test. What broke is run again on the base, and on the candidate by
        itself; a test that both passes and fails in one of them is flaky, unless the base passes and the candidate
        fails again when its whole file is run. Whether one was found."""
        open_ = sorted(
            test for test in broken - self._steady if "::" in test or not self.commit.counts.get(test)
        )
        if not 0 < len(open_) <= SUSPECTS or self._left_s(final) == 0:
            return False
        flaky = self._flip_on_base(open_)
        if not self.whole:
            flaky |= self._pass_alone(workspace, [test for test in open_ if test not in flaky])
        self._steady |= set(open_) - flaky
        if flaky:
            self.commit.take(replace(self.baseline, flaky=self.baseline.flaky | flaky), whole=self.whole)
        return bool(flaky)

    def _flip_on_base(self, open_: Sequence[str]) -> set[str]:
        """(One that always fails when it is run without the others proves nothing.)"""
        seen = {test: set[bool]() for test in open_}
        left, flaky = self._within(patience(ASK_S)), set[str]()
        for _ in range(RERUNS if self.whole else 2):
            asked = [test for test in open_ if test not in flaky]
            report = without_cut(self.commit.run(self.base, asked, max(1.0, left), True))
            for test, result in report.results.items():
                if test in seen:
                    seen[test].add(result.outcome.good)
            flaky = {test for test, outcomes in seen.items() if len(outcomes) > 1}
            left -= report.duration_s
            if left <= 0 or len(flaky) == len(open_):
                break
        return flaky

    def _pass_alone(self, workspace: Workspace, tests: Sequence[str]) -> set[str]:
        """Those that pass on the candidate when asked again, and whose file does not fail again there."""
        if not tests:
            return set()
        longest = self._within(patience(ASK_S))
        alone = self.commit.run(workspace, tests, longest, True)
        passing = [test for test in tests if test in alone.passing]
        if not passing:
            return set()
        files = sorted({file_of(test) for test in passing})
        with_others = self.commit.run(workspace, files, longest, True)
        on_base = self.commit.run(self.base, files, longest, True)
        broken = {test for test in passing if test in with_others.failing and test in on_base.passing}
        return set(passing) - broken

    def _evidence(
        self,
        report: TestReport,
        files: Sequence[str],
        patch: Patch,
        targets: frozenset[str],
        whole: bool,
        ranked: Sequence[str],
    ) -> Evidence:
        there = {test for test in report.results if self.commit.has(test)}
        if self.impact is None:
            return Evidence(whole, tests_run=len(there), near=bool(there))
        reaching = self.impact.reaching(Change.of(patch)) if not patch.is_empty else frozenset[str]()
        run = set(files)
        nearest = set(ranked[:NEAR]) | reaching
        near = (
            bool(there)
            if whole
            else any(self.commit.home(test) in nearest for test in there) or not self.commit.counts
        )
        return Evidence(
            whole,
            tuple(file for file in ranked if file in run),
            len(reaching),
            len(self.commit.counts),
            len(reaching & run),
            () if whole else tuple(file for file in ranked if file not in run)[:20],
            len(there),
            near,
        )
