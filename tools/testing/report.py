"""TestReport: what one run of the tests said; Baseline and comparison: what it means.

A suite is judged against runs on the base commit, never by "all green". A test that differs between
two baseline runs is flaky and does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..excerpt import clip_line, printable

_LACKING = re.compile(r"\bModuleNotFoundError: No module named '([\w.]+)'")
ENDED_EARLY = "the test process ended before all its tests had run"
"""The mark of such a run."""
_NO_TESTS = 5
"""Exit code of pytest, and of unittest since Python 3.12, when there is no test."""


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"

    @property
    def good(self) -> bool:
        """Passed, or failed as the test itself expects."""
        return self in (Outcome.PASSED, Outcome.XFAILED)

    @property
    def bad(self) -> bool:
        return self in (Outcome.FAILED, Outcome.ERROR)


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test in one run."""

    __test__ = False

    outcome: Outcome
    duration_s: float | None = None
    message: str = ""
    """Failure text (traceback, assertion), bounded by the runner; empty for a pass."""


@dataclass(frozen=True, slots=True)
class TestReport:
    """One run of the test command. Ids are the runner's own (pytest node ids, dotted unittest names)."""

    __test__ = False

    results: Mapping[str, TestResult]
    exit_code: int
    duration_s: float
    output: str = ""
    """Head and tail of the output; the full log is at `log_path` when the run was logged."""
    timed_out: bool = False
    log_path: str | None = None
    collection_errors: tuple[str, ...] = ()
    """Files or modules that could not be collected, with their error text. A file that pytest could not
    collect is in `results` too, under its path, as an error."""
    unknown: tuple[str, ...] = ()
    """Selected names that match no test."""
    warm: bool = False
    """Whether a preloaded process ran it; such a verdict is feedback, never the final one."""
    ended: bool = True
    """Whether the run came to its own end. One that did not may lack any test, whatever its exit code."""
    marks: tuple[str, ...] = ()
    """Signs that the code under test reached for its judge (looked for in cold runs)."""
    marked: tuple[str, ...] = ()
    """The tests and files in whose runs they were made; empty: any of them."""
    chosen: str = ""
    """How the tests were chosen, when neither all nor named ones were run."""

    @property
    def problem(self) -> str | None:
        """Why no test ran at all, in the words of the run; None when one did."""
        if self.results:
            return None
        if self.timed_out:
            return "they were killed at the time limit before one ended"
        if self.exit_code in (0, _NO_TESTS) and not self.collection_errors:
            return "no test was found"
        text = "\n".join((printable(self.output), *self.collection_errors))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line[1:].strip() for line in lines if line.startswith("E  ")]
        said = [*lines[-1:], *errors[-1:]] or ["no output"]
        return f"{clip_line(said[-1], 300)} (exit code {self.exit_code})"

    def ids(self, *outcomes: Outcome) -> frozenset[str]:
        return frozenset(test for test, result in self.results.items() if result.outcome in outcomes)

    @property
    def failing(self) -> frozenset[str]:
        return self.ids(Outcome.FAILED, Outcome.ERROR)

    @property
    def passing(self) -> frozenset[str]:
        return self.ids(Outcome.PASSED, Outcome.XFAILED)

    @property
    def messages(self) -> tuple[str, ...]:
        """Failure texts of the tests that failed."""
        return tuple(result.message for result in self.results.values() if result.outcome.bad)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The suite on the base commit, run at least once (twice to find flaky tests)."""

    outcomes: Mapping[str, Outcome]
    flaky: frozenset[str] = frozenset()
    duration_s: float | None = None
    runs: int = 1
    problem: str | None = None
    """Why no test ran; None when some did."""
    lacking: tuple[str, ...] = ()
    """Modules that failing tests wanted to import and that are not there."""

    @classmethod
    def of(cls, reports: Iterable[TestReport]) -> Baseline:
        """Merge runs of the same tree; a test whose goodness differs between runs is flaky."""
        runs = list(reports)
        outcomes: dict[str, Outcome] = {}
        flaky: set[str] = set()
        for test in sorted({test for run in runs for test in run.results}):
            seen = [run.results[test].outcome if test in run.results else None for run in runs]
            if len({outcome is not None and outcome.good for outcome in seen}) > 1:
                flaky.add(test)
            outcomes[test] = next(outcome for outcome in seen if outcome is not None)
        problem = next((run.problem for run in runs if run.problem), None) if not outcomes else None
        texts = [text for run in runs[:1] for text in (*run.collection_errors, *run.messages)]
        lacking = sorted({match[1] for text in texts for match in _LACKING.finditer(text)})
        took = runs[0].duration_s if runs else None
        return cls(outcomes, frozenset(flaky), took, len(runs), problem, tuple(lacking))

    @property
    def failing(self) -> frozenset[str]:
        return frozenset(t for t, o in self.outcomes.items() if o.bad and t not in self.flaky)

    @property
    def passing(self) -> frozenset[str]:
        return frozenset(t for t, o in self.outcomes.items() if o.good and t not in self.flaky)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A report against the baseline; every set is of test ids, none holds a flaky test."""

    fixed: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    """Good on base, now bad or gone."""
    still_failing: frozenset[str] = frozenset()
    new_passing: frozenset[str] = frozenset()
    """Unknown on base (for example a reproduction test), good now."""
    new_failing: frozenset[str] = frozenset()
    unchanged_passing: frozenset[str] = frozenset()
    flaky: frozenset[str] = field(default_factory=frozenset[str])

    @property
    def clean(self) -> bool:
        """No regression and nothing new fails."""
        return not self.broken and not self.new_failing


def compare(baseline: Baseline, report: TestReport, *, partial: bool = False) -> Comparison:
    """What `report` changed. With `partial` (a selection was run) tests that were not run are ignored;
    otherwise a test that passed on base and is now missing counts as broken."""
    fixed, broken, still, new_good, new_bad, same = (set[str]() for _ in range(6))
    for test, result in report.results.items():
        if test in baseline.flaky:
            continue
        before = baseline.outcomes.get(test)
        now = result.outcome
        if before is None:
            (new_bad if now.bad else new_good).add(test)
        elif before.bad:
            (fixed if now.good else still).add(test)
        elif before.good:
            (same if now.good or now in (Outcome.SKIPPED, Outcome.XPASSED) else broken).add(test)
        elif now.bad:
            broken.add(test)
    if not partial:
        missing = set(baseline.outcomes) - set(report.results) - baseline.flaky
        # A file that could not be collected on base has no tests of its own: once it can be, it is fixed.
        whole = {test.partition("::")[0] for test, result in report.results.items() if result.outcome.good}
        mended = {
            test for test in missing if "::" not in test and baseline.outcomes[test].bad and test in whole
        }
        fixed |= mended
        missing -= mended
        broken |= {test for test in missing if baseline.outcomes[test].good}
        still |= {test for test in missing if baseline.outcomes[test].bad}
    return Comparison(
        frozenset(fixed),
        frozenset(broken),
        frozenset(still),
        frozenset(new_good),
        frozenset(new_bad),
        frozenset(same),
        frozenset(set(report.results) & baseline.flaky),
    )
