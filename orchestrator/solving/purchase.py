"""Purchase: test files run nearest first, on two forks at a time, until they are all run or the time is spent."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ...tools.testing.report import ENDED_EARLY, Outcome, TestReport, TestResult
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace

LANES = 2
MOST_ASKED = 40
"""Tests asked about one by one; of more, their files are."""
_CHUNK_S = 8.0
"""Expected length of one run: longer ones save start-up, shorter ones lose less to the end of the time."""
_TEST_S = 0.05
"""A test whose duration is not known is expected to take so long."""
_LEAST_S = 3.0
"""With less time left no further run is begun."""
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
        )


def expected_s(files: Sequence[str], tests: Mapping[str, int], durations: Mapping[str, float]) -> float:
    """How long the files are likely to take, in seconds."""
    return sum(durations.get(file, 0.2 + _TEST_S * tests.get(file, 10)) for file in files)


def chunks(
    files: Sequence[str], tests: Mapping[str, int], durations: Mapping[str, float]
) -> list[tuple[str, ...]]:
    """The files in order, cut into runs: the first ones short, so that the nearest are heard soon."""
    made: list[tuple[str, ...]] = []
    current: list[str] = []
    for file in files:
        current.append(file)
        limit = _CHUNK_S * min(1.0, (1 + len(made)) / 4)
        if expected_s(current, tests, durations) >= limit or len(current) >= 40:
            made.append(tuple(current))
            current = []
    return [*made, tuple(current)] if current else made


def buy(
    runner: TestRunner,
    workspace: Workspace,
    plan: Sequence[Sequence[str]],
    *,
    budget_s: float,
    cold: bool,
    stop: threading.Event | None = None,
    on_part: Callable[[TestReport], bool] | None = None,
) -> Bought:
    """Run the parts of `plan` (selections of files and ids), two at a time, each on a fork of `workspace`. The first
    part is always run. `on_part` hears of each and may say that it is enough. Blocking. Raises: SandboxError."""
    ends = time.monotonic() + budget_s
    left, lock, bought, done = deque(enumerate(plan)), threading.Lock(), Bought(), dict[int, list[str]]()
    enough = threading.Event()

    def lane() -> None:
        while not enough.is_set() and not (stop and stop.is_set()):
            with lock:
                if not left or (left[0][0] > 0 and ends - time.monotonic() < _LEAST_S):
                    return
                number, part = left.popleft()
            room = max(_LEAST_S, ends - time.monotonic())
            with workspace.fork() as fork:
                report = runner.run(fork, part, timeout=room, cold=cold)
            with lock:
                done[number] = _add(bought, part, report)
            if on_part is not None and on_part(report):
                enough.set()

    started = time.monotonic()
    lanes = LANES if workspace.sandbox.kind != "plain" else 1
    with ThreadPoolExecutor(lanes) as pool:
        for future in [pool.submit(lane) for _ in range(min(lanes, len(plan)))]:
            future.result()
    bought.duration_s = time.monotonic() - started
    bought.files = [file for number in sorted(done) for file in done[number]]
    return bought


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


def file_of(test: str) -> str:
    """The file of a pytest id; the whole id for other runners."""
    return test.partition("::")[0]


def without_cut(report: TestReport) -> TestReport:
    """Without the test during which the time ended: that is no outcome."""
    if not report.timed_out:
        return report
    results = {test: result for test, result in report.results.items() if not is_cut(result)}
    return replace(report, results=results)
