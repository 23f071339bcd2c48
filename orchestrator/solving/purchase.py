"""Purchase: test files run nearest first, on two forks at a time. What is run is decided before anything runs, from
expected durations: a loaded machine makes a check longer, never smaller."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median

from ...tools.testing.report import ENDED_EARLY, Outcome, TestReport, TestResult
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace
from .blocked import blockers, is_blocked, reason
from .test_names import file_of

LANES = 2
NEAR = 10
"""So many files of a ranking are near."""
MOST_ASKED = 200
"""Tests asked about one by one; of more, their files are. (What fails is seldom all of a file, and files are long.)"""
_ASKED_AT_ONCE = 8
_CHUNK_S = 8.0
"""Expected length of one run: longer ones save start-up, shorter ones lose less to the end of the time."""
_TEST_S = 0.05
"""A test whose duration is not known is expected to take so long."""
_START_S = 1.0
"""What every run costs beside its tests."""
_LEAST_S = 3.0
"""With less time left no further run is begun."""
_WALL = 1.4
"""A check that takes so many times what was planned is cut off, and says so."""
_LEFT_S = 0.2
"""Less time than any file takes."""
_ENOUGH = 5
"""Files whose durations are known, before they say something of the others."""
_CUT = "did not finish"


@dataclass(slots=True)
class Bought:
    """What was run and what it said."""

    results: dict[str, TestResult] = field(default_factory=dict[str, TestResult])
    files: list[str] = field(default_factory=list[str])
    """Run to their end, in the order of the plan."""
    unknown: list[str] = field(default_factory=list[str])
    uncollected: list[str] = field(default_factory=list[str])
    output: str = ""
    """Of a run that failed."""
    log_path: str | None = None
    exit_code: int = 0
    duration_s: float = 0.0
    timed_out: bool = False
    marks: list[str] = field(default_factory=list[str])
    marked: list[str] = field(default_factory=list[str])
    """The parts whose runs made them."""

    def report(self) -> TestReport:
        """As one report."""
        return TestReport(
            self.results,
            self.exit_code,
            round(self.duration_s, 3),
            self.output,
            self.timed_out,
            self.log_path,
            tuple(self.uncollected),
            tuple(self.unknown),
            marks=tuple(dict.fromkeys(self.marks)),
            marked=tuple(dict.fromkeys(self.marked)),
        )


@dataclass(frozen=True)
class Durations:
    """How long test files are expected to take, in seconds, on a machine that has nothing else to do."""

    tests: Mapping[str, int]
    """Test file → tests in it, as far as reading tells."""
    known: Mapping[str, float] = field(default_factory=dict[str, float])
    """Test file → seconds, measured."""

    @cached_property
    def per_test_s(self) -> float:
        """Of a test whose duration is not known: the median of the known files, where there are some."""
        seen = [self.known[file] / self.tests[file] for file in self.known if self.tests.get(file)]
        return min(2.0, max(0.01, median(seen))) if len(seen) >= _ENOUGH else _TEST_S

    def of(self, files: Iterable[str]) -> float:
        """Of all of them together."""
        return sum(
            self.known.get(file, 0.2 + self.per_test_s * max(1, self.tests.get(file, 10))) for file in files
        )


def chunks(files: Iterable[str], durations: Durations) -> list[tuple[str, ...]]:
    """The files in order, cut into runs: the first ones short, so that the nearest are heard soon."""
    made: list[tuple[str, ...]] = []
    current: list[str] = []
    for file in files:
        current.append(file)
        limit = _CHUNK_S * min(1.0, (1 + len(made)) / 4)
        if durations.of(current) >= limit or len(current) >= 40:
            made.append(tuple(current))
            current = []
    return [*made, tuple(current)] if current else made


def questions(names: Iterable[str]) -> list[list[str]]:
    """Names of tests and files cut into runs of some eight; those in one file stay together, which is prepared once."""
    homes = dict[str, list[str]]()
    for name in names:
        homes.setdefault(file_of(name), []).append(name)
    made = list[list[str]]()
    for some in homes.values():
        if made and len(made[-1]) + len(some) <= _ASKED_AT_ONCE:
            made[-1] += some
        else:
            made.append(some)
    return made


def affordable(files: Iterable[str], durations: Durations, budget_s: float, far_s: float) -> list[str]:
    """The nearest files that two lanes are expected to finish within `budget_s` seconds, in order; at least one. One
    that is too long for what is left is passed over. Beyond the near ones no more than `far_s` counts for all: what
    lies further away decides how long a check takes, and hardly ever its verdict (`bench/verdict.py`)."""
    chosen, left = list[str](), LANES * budget_s
    for number, file in enumerate(files):
        if number == NEAR:
            left -= LANES * max(0.0, budget_s - far_s)
        cost = durations.of([file])
        cost += _START_S * min(1.0, cost / _CHUNK_S)
        if not chosen or cost <= min(left, budget_s):
            chosen.append(file)
            left -= cost
        if left < _LEFT_S:
            break
    return chosen


def patience(seconds: float) -> float:
    """So many seconds of a machine that has nothing else to do: more of one that has more to do than cores."""
    try:
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        load = 1.0
    return seconds * min(4.0, max(1.0, load))


def wall_of(budget_s: float) -> float:
    """Longest that what is planned to take `budget_s` seconds may take, in seconds; what is not run by then is said
    not to be."""
    return patience(_WALL * budget_s)


def buy(
    runner: TestRunner,
    workspace: Workspace,
    plan: Sequence[Sequence[str]],
    *,
    wall_s: float,
    cold: bool,
    stop: threading.Event | None = None,
    on_part: Callable[[TestReport], bool] | None = None,
    least_s: float = _LEAST_S,
) -> Bought:
    """Run the parts of `plan` (selections of files and ids), two at a time, each on a fork of `workspace`. The first
    part is always run, for `least_s` seconds if need be; after `wall_s` seconds no other is. `on_part` hears of each and may say that it is enough.
    Blocking. Raises: SandboxError."""
    ends = time.monotonic() + wall_s
    left, lock, bought, done = deque(enumerate(plan)), threading.Lock(), Bought(), dict[int, list[str]]()
    enough, reasons = threading.Event(), set[str]()

    def lane() -> None:
        while not enough.is_set() and not (stop and stop.is_set()):
            with lock:
                if not left or (left[0][0] > 0 and ends - time.monotonic() < _LEAST_S):
                    return
                number, part = left.popleft()
            for some, report in _heard(runner, workspace, part, ends, cold, least_s, reasons):
                with lock:
                    done.setdefault(number, []).extend(_add(bought, some, report))
                if on_part is not None and on_part(report):
                    enough.set()

    started = time.monotonic()
    lanes = LANES if workspace.sandbox.kind != "plain" else 1
    with ThreadPoolExecutor(lanes) as pool:
        for future in [pool.submit(lane) for _ in range(min(lanes, len(plan)))]:
            future.result()
    bought.timed_out |= bool(left) and not enough.is_set()
    bought.duration_s = time.monotonic() - started
    bought.files = [file for number in sorted(done) for file in done[number]]
    return bought


def _heard(
    runner: TestRunner,
    workspace: Workspace,
    part: Sequence[str],
    ends: float,
    cold: bool,
    least_s: float,
    reasons: set[str],
) -> Iterator[tuple[Sequence[str], TestReport]]:
    """One run; where no test was reached, what is blocked and a run of the others; where it cannot be told which are,
    the halves."""
    with workspace.fork() as fork:
        report = runner.run(fork, part, timeout=max(least_s, ends - time.monotonic()), cold=cold)
    if not is_blocked(part, report):
        yield part, report
        return
    kept = blockers(part, report, reasons)
    if kept:
        if len(part) == 1:
            reasons |= {reason(result) for result in kept.values()}
        mine = [name for name in part if file_of(name) in kept]
        yield mine, replace(report, results=kept, unknown=(), ended=True)
        parts = [[name for name in part if name not in mine]]
    elif len(part) == 1:
        yield part, report
        return
    else:
        parts = [part[: len(part) // 2], part[len(part) // 2 :]]
    for some in filter(None, parts):
        yield from _heard(runner, workspace, some, ends, cold, least_s, reasons)


def _add(bought: Bought, part: Sequence[str], report: TestReport) -> list[str]:
    """Take over one run; returns the files of it that were run to their end."""
    results = dict(report.results)
    unfinished: set[str] = set()
    if report.timed_out:
        bought.timed_out = True
        cut = {test for test, result in results.items() if is_cut(result)}
        results = {test: result for test, result in results.items() if test not in cut}
        finished = {file_of(test) for test in results} - {file_of(test) for test in cut}
        unfinished = {name for name in part if file_of(name) not in finished}
    bought.results |= results
    bought.unknown += report.unknown
    bought.marks += [*report.marks, *([] if report.ended or report.timed_out else [ENDED_EARLY])]
    if report.marks:
        files = {file_of(name) for name in part}
        bought.marked += [name for name in report.marked if file_of(name) in files] or part
    bought.uncollected += report.collection_errors
    if report.exit_code not in (0, 5):
        bought.exit_code, bought.output = report.exit_code, report.output
    if report.exit_code not in (0, 5) or bought.log_path is None:
        bought.log_path = report.log_path
    unknown = set(report.unknown) - results.keys()
    return [name for name in part if "::" not in name and name not in unfinished | unknown]


def is_cut(result: TestResult) -> bool:
    """Whether it is no outcome: the run ended before the test did."""
    return (
        result.outcome is Outcome.ERROR and result.message.startswith(_CUT) and "time limit" in result.message
    )


def without_cut(report: TestReport) -> TestReport:
    """Without the test during which the time ended: that is no outcome."""
    if not report.timed_out:
        return report
    results = {test: result for test, result in report.results.items() if not is_cut(result)}
    return replace(report, results=results)
