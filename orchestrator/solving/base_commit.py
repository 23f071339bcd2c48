"""BaseCommit: the untouched commit, what is known of its tests, and how it is asked.

Nothing is run on it that nobody needs: before anybody thinks a small suite, or what the issue's words point to;
later only what fails on a candidate.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

from ...tools.patch import Patch
from ...tools.testing.impact.change import Change
from ...tools.testing.impact.ranking import Impact
from ...tools.testing.impact.test_source import test_source
from ...tools.testing.report import Baseline, Outcome, TestReport, TestResult
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace
from .ahead import Ahead
from .base_knowledge import BaseKnowledge, KnowledgeCache
from .purchase import MOST_ASKED, Durations, buy, chunks, questions, without_cut
from .relevance import Belonging, Failing, belonging
from .test_names import file_of, home_of

CAP_S = 600.0
"""Longest run of a whole suite that nobody asked to be run whole."""
LOOK_S = 1.5
"""Longest run before the first model call."""
SMALL_LOOK_S = 4.0
"""The same of a small suite, which is run whole."""
SMALL_TESTS = 300
"""A suite with so many test functions at most is run whole before anybody thinks."""
LOOK_FILES = 3
"""Of a larger one, so many files that the issue's words point to."""
AGAIN_S = 60.0
"""Longest run that asks again."""
SOON_S = 3.0
"""The first look and the run that asks again, together, where a model waits for its first call."""


@dataclass
class BaseCommit:
    """Forks of `workspace` are run; it stays as it is. Safe to use from several threads."""

    runner: TestRunner
    workspace: Workspace
    impact: Impact | None = None
    """None: test files are not ranked, and the suite is always run whole."""
    issue: str = ""
    cache: KnowledgeCache | None = None
    known: BaseKnowledge = field(default_factory=BaseKnowledge)
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _planned_by: dict[str, float] | None = None
    _looked_s: float = 0.0

    @property
    def baseline(self) -> Baseline:
        """What is known so far."""
        return self.known.baseline

    @property
    def whole(self) -> bool:
        """Whether that is the whole suite."""
        return self.known.whole

    async def measure(self, runs: int = 2, *, left_s: float | None = None, cap_s: float = CAP_S) -> Baseline:
        """The whole suite on the base, `runs` times: a test whose outcome differs is flaky. `left_s` is what the run
        has left of its time."""
        ends = None if left_s is None else time.monotonic() + left_s
        reports: list[TestReport] = []
        for _ in range(runs):
            cap = cap_s if ends is None else min(cap_s, max(1.0, ends - time.monotonic()))
            report = await asyncio.to_thread(self.run, self.workspace, (), cap, True)
            reports.append(without_cut(report))
            if report.timed_out or (not report.results and report.exit_code != 0):
                break
        cut = any(report.timed_out for report in reports)
        baseline = Baseline.of(reports)
        if cut and cap_s < CAP_S:
            baseline = replace(baseline, problem=None)  # a short look that saw nothing says nothing
        self.take(baseline, whole=not cut)
        self.note(reports[0].results, () if cut else self._files_of(reports[0].results))
        return self.baseline

    @cached_property
    def ahead(self) -> Ahead:
        """What is run while a model is asked (by a runner of its own: nobody's screen or log hears of it)."""
        return Ahead(TestRunner(self.runner.project, warm=False), self.workspace)

    def run_ahead(self) -> None:
        """Begin to run the files that the issue's words point to and that nobody ran."""
        if not (self.indivisible or self.whole):
            _ = self.durations  # settled first: what is learned from here on plans nothing
            self.ahead.start([file for file in self.nearest(None) if file not in self.known.files])

    def adopt(
        self,
        baseline: Baseline,
        *,
        whole: bool,
        files: Collection[str] = (),
        durations: Mapping[str, float] | None = None,
    ) -> None:
        """Take over what was measured before: `files` were run to their end, and checks are planned by `durations`."""
        self.take(baseline, whole=whole)
        with self._lock:
            self.known.files |= set(files)
            self.known.durations |= durations or {}
            self._planned_by = dict(durations or {})

    @property
    def durations(self) -> Durations:
        """What checks are planned by: what was known before anybody thought, and nothing that is learned later, so that
        a plan depends neither on the order of the checks nor on the machine."""
        with self._lock:
            if self._planned_by is None:
                self._planned_by = dict(self.known.durations)
        return Durations(self.counts, self._planned_by)

    async def look(
        self, *, whole: bool = False, left_s: float | None = None, longest_s: float = LOOK_S
    ) -> Baseline:
        """What is worth knowing before anybody thinks: all of a small suite, of another one what the issue's words
        point to, for at most `longest_s`. With `whole` the whole suite, twice, however long it takes."""
        if self.cache is not None:
            self.known = self.cache.read()
            self.take(self.known.baseline, whole=self.known.whole)
        if whole and not (self.whole and self.baseline.runs > 1):
            return await self.measure(left_s=left_s)
        if self.whole:
            return self.baseline
        if self.small:
            return await self.measure(1, left_s=left_s, cap_s=max(longest_s, SMALL_LOOK_S))
        known = self.known.files | self.known.long
        wanted = [file for file in self.nearest(None)[:LOOK_FILES] if file not in known]
        if wanted:
            limit, began = min(longest_s, max(1.0, left_s or longest_s)), time.monotonic()
            if not await asyncio.to_thread(self.learn, wanted, limit):
                self.known.long |= set(wanted)
            self._looked_s = time.monotonic() - began
        return self.baseline

    async def find_failing(
        self, enough: Callable[[], bool], say: Callable[[str], None], *, left_s: float | None = None
    ) -> Baseline:
        """Run test files on the base in the order in which the issue's words point to them, until `enough`, the end of
        the files or the time: for who can do nothing without a failing test."""
        if self.whole or enough():
            return self.baseline
        if self.small:
            return await self.measure(1, left_s=left_s)
        files = [file for file in self.nearest(None) if file not in self.known.files]
        plan = chunks(files, self.durations)
        budget = CAP_S if left_s is None else min(CAP_S, left_s)
        done = 0

        def heard(report: TestReport) -> bool:
            nonlocal done
            self.learned([without_cut(report)])
            with self._lock:
                done += 1
                say(f"looking for a failing test: {done} of {len(plan)} groups of test files, nearest first")
            return enough()

        try:
            bought = await asyncio.to_thread(
                buy,
                *(self.runner, self.workspace, plan),
                wall_s=budget,
                cold=True,
                stop=self.stop,
                on_part=heard,
            )
        except asyncio.CancelledError:
            self.stop.set()
            raise
        self.note(bought.results, bought.files)
        if len(self.known.files) >= len(self.counts) and not bought.timed_out:
            self.take(self.baseline, whole=True)
        return self.baseline

    async def ask_again(self, tests: Collection[str], *, soon: bool = False) -> frozenset[str]:
        """Those of `tests` that fail on the base once more, or were not heard in time; the others are flaky from here
        on. A test that did so in an earlier run is not asked a third time. `soon`: a model waits for its first call."""
        longest_s = max(1.0, SOON_S - self._looked_s) if soon else AGAIN_S
        open_ = set(tests) - self.known.steady
        if not open_:
            return frozenset(tests)
        asked = sorted(open_) if len(open_) <= MOST_ASKED else sorted({file_of(test) for test in open_})
        report = without_cut(await asyncio.to_thread(self.run, self.workspace, asked, longest_s, True))
        heard = {test: result for test, result in report.results.items() if test in open_}
        good = {test for test, result in heard.items() if result.outcome.good}
        self.note(heard, ())
        self.known.steady |= {test for test, result in heard.items() if result.outcome.bad}
        if good:
            self.take(replace(self.baseline, flaky=self.baseline.flaky | good), whole=self.whole)
        return frozenset(set(tests) - good)

    def belonging(self) -> Belonging:
        """Which of the known failing tests show the issue."""
        failing = sorted(self.baseline.failing)
        unseen = TestResult(Outcome.FAILED)
        items = [Failing(test, self.known.failures.get(test, unseen), self._source(test)) for test in failing]
        rarity = self.impact.rarity if self.impact is not None and self.impact.tests else None
        return belonging(self.issue, items, rarity)

    def _source(self, test: str) -> str:
        home = self.home(test)
        text = self.impact.tree.text(home) if home and self.impact is not None else None
        return test_source(text, test) if text else ""

    @property
    def indivisible(self) -> bool:
        """Whether test files cannot be told apart or run one by one."""
        return self.impact is None or not self.counts or self.runner.project.test_command.runner == "custom"

    @property
    def small(self) -> bool:
        """Whether the suite is worth running whole before anybody thinks."""
        return self.indivisible or sum(self.counts.values()) <= SMALL_TESTS

    def save(self) -> None:
        """Keep what was learned about the base; nothing is run ahead from here on."""
        self.ahead.stop()
        for file, report in self.ahead.heard.items():
            self._heard(report, [file])
        if self.cache is not None and self.impact is not None:
            self.cache.write(self.known, self.impact.tree.blobs)

    def nearest(self, patch: Patch | None) -> list[str]:
        assert self.impact is not None
        change = Change.of(patch, self.issue, self.impact.tree.text)
        ranked = [item.path for item in self.impact.rank(change)]
        return [path for path in ranked if path.endswith(".py") or not self.runner.project.python]

    def run(
        self, workspace: Workspace, selection: Sequence[str], timeout: float | None, cold: bool
    ) -> TestReport:
        with workspace.fork() as fork:
            return self.runner.run(fork, selection, timeout=timeout, cold=cold)

    def learn(self, names: Sequence[str], longest_s: float, runs: int = 1) -> bool:
        """Run on the base (the whole suite, without `names`) and remember; whether it came to its end."""

        def heard() -> TestReport:
            if not names:
                return self.run(self.workspace, (), longest_s, True)
            wait = longest_s
            return buy(self.runner, self.workspace, [names], wall_s=wait, least_s=wait, cold=True).report()

        with ThreadPoolExecutor(runs) as pool:
            reports = [future.result() for future in [pool.submit(heard) for _ in range(runs)]]
        ended = not any(report.timed_out for report in reports)
        reports = [without_cut(report) for report in reports]
        if not names:
            self.take(Baseline.of(reports), whole=ended)
            self.note(reports[0].results, self._files_of(reports[0].results) if ended else ())
            return ended
        self.learned(reports)
        self.note(reports[0].results, [name for name in names if name in self.counts] if ended else ())
        return ended

    def ask(self, asked: Sequence[str], longest_s: float) -> bool:
        """Run on the base once, two parts at a time, and remember; whether all came to its end. (One look is enough:
        what passes here and fails on a candidate is run again before it counts as broken.)"""
        heard, names = self.ahead.known(asked)
        for known in heard:
            self._heard(known, [file for file in asked if file in self.ahead.heard])
        if not names:
            return True
        bought = buy(
            self.runner, self.workspace, questions(names), wall_s=longest_s, cold=True, stop=self.stop
        )
        report = bought.report()
        self._heard(report, bought.files)
        return not report.timed_out

    def _heard(self, report: TestReport, files: Iterable[str]) -> None:
        """Of a run in which `files` came to their end."""
        self.learned([report])
        self.note(report.results, [file for file in files if file in self.counts])

    def learned(self, reports: Sequence[TestReport]) -> None:
        with self._lock:
            more, before = Baseline.of(reports), self.baseline
            if any(report.timed_out for report in reports):
                more = replace(more, problem=None)
            merged = Baseline(
                {**more.outcomes, **before.outcomes},
                before.flaky | more.flaky,
                before.duration_s,
                before.runs,
                before.problem if before.outcomes else (None if more.outcomes else more.problem),
                tuple(sorted({*before.lacking, *more.lacking})),
            )
            self.take(merged, whole=self.whole)

    def take(self, baseline: Baseline, *, whole: bool) -> None:
        with self._lock:
            self.known.baseline, self.known.whole = baseline, whole
            self.runner.baseline = baseline

    def note(self, results: Mapping[str, TestResult], files: Iterable[str]) -> None:
        """Remember which files were run to their end on the base, and how long they took."""
        ended = set(files)
        self.note_durations(results, ended)
        with self._lock:
            self.known.failures |= {test: result for test, result in results.items() if result.outcome.bad}
            self.known.files |= ended

    def note_durations(self, results: Mapping[str, TestResult], files: Collection[str]) -> None:
        """Remember how long files of the commit took that were run to their end and in which nothing failed; the
        shortest counts, for it was disturbed least."""
        took, bad = dict[str, float](), set[str]()
        for test, result in results.items():
            if (home := self.home(test)) and home in files and home in self.counts:
                took[home] = took.get(home, 0.0) + (result.duration_s or 0.0)
                bad |= {home} if result.outcome.bad else set()
        with self._lock:
            before = self.known.durations
            self.known.durations |= {
                file: min(seconds, before.get(file, seconds))
                for file, seconds in took.items()
                if file not in bad
            }

    def _files_of(self, tests: Iterable[str]) -> set[str]:
        return {home for test in tests if (home := self.home(test))}

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Test file → tests in it, as far as reading tells."""
        if self.impact is None:
            return {}
        facts = self.impact.facts
        return {path: facts[path].tests if path in facts else 10 for path in self.impact.tests}

    def home(self, test: str) -> str | None:
        """The file of the base commit that a test is in; None: it is in none."""
        return file_of(test) if self.impact is None else home_of(test, self.impact.tree.blobs)

    def has(self, test: str) -> bool:
        """Whether the base commit may have the test."""
        return self.home(test) is not None or ("::" not in test and "/" not in test)
