"""Suite: the repository's tests against their baseline, and what a check of a patch came to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from ...tools.patch import Patch
from ...tools.testing.coverage_map import CoverageMap, select
from ...tools.testing.report import Baseline, Comparison, TestReport, compare
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace

CAP_S = 600.0
"""Longest baseline run; a suite that takes longer is judged by the tests around the patch."""
TRACE_S = 300.0
"""Longest traced run of a slow suite; it is made once, to know which tests execute which lines."""
MOST_TESTS = 200
"""Tests chosen by coverage for one candidate, at most."""
FAST_S = 120.0
"""A suite up to this long is run whole for every candidate."""
SUSPECTS, RERUNS = 20, 5
"""Tests that broke are run again on the base, at most so many, so often."""


@dataclass(frozen=True, slots=True)
class Check:
    """One run of tests on a candidate. `targets` are the tests the issue is about."""

    comparison: Comparison
    report: TestReport | None
    targets: frozenset[str] = frozenset()
    passed_targets: frozenset[str] = frozenset()
    whole: bool = True
    """Whether the whole suite was run."""

    @property
    def failed_targets(self) -> frozenset[str]:
        return self.targets - self.passed_targets

    @property
    def green(self) -> bool:
        """Nothing broke and every target passes (there may be none)."""
        return not self.comparison.broken and not self.failed_targets

    @property
    def verified(self) -> bool:
        """Green, and at least one test that failed because of the issue passes now."""
        return self.green and bool(self.passed_targets)

    @property
    def target_rate(self) -> float | None:
        return len(self.passed_targets) / len(self.targets) if self.targets else None

    def summary(self) -> str:
        """One line for a prompt or a screen."""
        c = self.comparison
        parts = (
            [f"{len(self.passed_targets)} of {len(self.targets)} target tests pass"] if self.targets else []
        )
        parts += [f"{len(c.fixed)} fixed", f"{len(c.broken)} broken", f"{len(c.still_failing)} still failing"]
        parts.append("whole suite" if self.whole else "tests around the change")
        return ", ".join(parts)


@dataclass(slots=True)
class Suite:
    """Runs tests on forks, so that nothing they leave behind reaches a candidate."""

    runner: TestRunner
    base: Workspace
    """The untouched workspace on the base commit; extended baselines are measured on forks of it."""
    baseline: Baseline = field(default_factory=lambda: Baseline({}))
    whole: bool = True
    """Whether the baseline covers the whole suite."""
    fast_s: float = FAST_S
    trace_s: float = TRACE_S
    _coverage: CoverageMap | None = None
    _steady: set[str] = field(default_factory=set[str])
    """Tests that were run again on the base and never changed their mind."""
    _tracing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def measure(self, runs: int = 2, *, left_s: float | None = None) -> Baseline:
        """The baseline on the base commit, on forks of it; `left_s` is what the run has left of its time."""
        ends = None if left_s is None else time.monotonic() + left_s
        reports: list[TestReport] = []
        for _ in range(runs):
            cap = CAP_S if ends is None else min(CAP_S, max(1.0, ends - time.monotonic()))
            report = await self._run(self.base, (), timeout=cap, cold=True)
            reports.append(report)
            if report.timed_out or (not report.results and report.exit_code != 0):
                break
        self.adopt(Baseline.of(reports), whole=not any(report.timed_out for report in reports))
        return self.baseline

    def adopt(self, baseline: Baseline, *, whole: bool) -> None:
        """Take over a baseline measured before."""
        self.baseline = baseline
        self.runner.baseline = baseline
        self.whole = whole

    async def check(
        self, workspace: Workspace, patch: Patch, targets: Collection[str], *, final: bool = False
    ) -> Check:
        """Run the tests on a fork of `workspace`: the whole suite where it is fast or `final` asks for it,
        else the targets and the tests around the changed files. A final check is always cold."""
        slow = (self.baseline.duration_s or 0.0) > self.fast_s
        whole = self.whole and (final or not slow)
        selection: Sequence[str] = ()
        if not whole:
            around = self.around(patch.files)
            await self._extend(around)
            files = set(around)
            executing = [test for test in await self.executing(patch) if test.partition("::")[0] not in files]
            selection = sorted({*targets, *around, *executing})
            if not selection:
                return Check(Comparison(), None, frozenset(targets), frozenset(), whole=False)
        report = await self._run(workspace, selection, timeout=None, cold=final)
        partial = not whole or report.timed_out
        comparison = compare(self.baseline, report, partial=partial)
        if await self._find_flaky(comparison.broken):
            comparison = compare(self.baseline, report, partial=partial)
        wanted = frozenset(targets)
        return Check(comparison, report, wanted, wanted & report.passing, whole)

    async def _find_flaky(self, broken: frozenset[str]) -> bool:
        """Two runs do not find every flaky test. What broke is run again on the base; a test that both passes
        and fails there is flaky, and nothing it says counts. (One that always fails when it is run without
        the others proves nothing.) Whether one was found."""
        open_ = {test: set[bool]() for test in broken - self._steady}
        if not 0 < len(open_) <= SUSPECTS:
            return False
        left, flaky = self.fast_s, set[str]()
        for _ in range(RERUNS):
            report = await self._run(self.base, sorted(open_.keys() - flaky), timeout=left, cold=True)
            for test, result in report.results.items():
                if test in open_:
                    open_[test].add(result.outcome.good)
            flaky = {test for test, seen in open_.items() if len(seen) > 1}
            left -= report.duration_s
            if left <= 0 or flaky == open_.keys():
                break
        self._steady |= open_.keys() - flaky
        if flaky:
            self.adopt(replace(self.baseline, flaky=self.baseline.flaky | flaky), whole=self.whole)
        return bool(flaky)

    async def executing(self, patch: Patch) -> list[str]:
        """Tests known to the baseline that execute the lines a patch touches, nearest first. The suite is
        traced once, for at most `trace_s`; what was not reached by then is not known."""
        async with self._tracing:
            if self._coverage is None:
                self._coverage = await asyncio.to_thread(
                    self.runner.map_coverage, self.base, (), timeout=self.trace_s
                )
        known = self.baseline.outcomes
        return [test for test in select(patch, self._coverage, limit=MOST_TESTS) if test in known]

    def around(self, changed: Iterable[str]) -> list[str]:
        """Test files near the changed files, by name: `pkg/x.py` → `test_x*.py`, and the `tests` folder of
        the same package."""
        files = sorted({test.partition("::")[0] for test in self.baseline.outcomes if "::" in test})
        stems = {PurePosixPath(path).stem.strip("_") for path in changed}
        return [file for file in files if any(stem and stem in PurePosixPath(file).stem for stem in stems)]

    async def _extend(self, files: Sequence[str]) -> None:
        known = {test.partition("::")[0] for test in self.baseline.outcomes}
        missing = [file for file in files if file not in known]
        if missing:
            report = await self._run(self.base, missing, timeout=CAP_S, cold=True)
            more = Baseline.of([report])
            merged = Baseline(
                {**more.outcomes, **self.baseline.outcomes},
                self.baseline.flaky,
                self.baseline.duration_s,
                self.baseline.runs,
            )
            self.adopt(merged, whole=self.whole)

    async def _run(
        self, workspace: Workspace, selection: Sequence[str], *, timeout: float | None, cold: bool
    ) -> TestReport:
        def run() -> TestReport:
            with workspace.fork() as fork:
                return self.runner.run(fork, selection, timeout=timeout, cold=cold)

        return await asyncio.to_thread(run)
