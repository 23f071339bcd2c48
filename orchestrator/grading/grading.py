"""Grading: a test log and the gold ids → resolved or not.

Rules of swebench 5.0.2 (`harness/grading.py`), which agree with 4.1.0 wherever a log is sound: resolved
means that every FAIL_TO_PASS and every PASS_TO_PASS test passed; a missing id is a failure; a skipped
PASS_TO_PASS test counts as kept, a skipped FAIL_TO_PASS test as failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..benchmarks.markers import END, EXIT_CODE, START
from .logs import ERROR, FAILED, PASSED, SKIPPED, XFAIL, Parser

PATCH_FAILED, RESET_FAILED = ">>>>> Patch Apply Failed", ">>>>> Reset Failed"
TESTS_ERRORED, TESTS_TIMED_OUT = ">>>>> Tests Errored", ">>>>> Tests Timed Out"
_SPOILED = (PATCH_FAILED, RESET_FAILED, TESTS_ERRORED, TESTS_TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a log says about one prediction."""

    resolved: bool
    fail_to_pass: Mapping[str, bool] = field(default_factory=dict[str, bool])
    pass_to_pass: Mapping[str, bool] = field(default_factory=dict[str, bool])
    rejected: str | None = None
    """Why the run says nothing (markers missing, nothing ran); None for a sound run."""

    @property
    def tests_status(self) -> dict[str, dict[str, list[str]]]:
        """The harness's shape."""
        parts = {"FAIL_TO_PASS": self.fail_to_pass, "PASS_TO_PASS": self.pass_to_pass}
        return {
            name: {
                "success": [test for test, good in tests.items() if good],
                "failure": [test for test, good in tests.items() if not good],
            }
            for name, tests in parts.items()
        }


def grade_log(
    log: str,
    parser: Parser,
    fail_to_pass: Sequence[str],
    pass_to_pass: Sequence[str],
    *,
    fail_only: bool = False,
) -> Verdict:
    """Judge the log of an evaluation script. With `fail_only` an absent test counts as passed."""
    status, why = read_log(log, parser)
    if status is None:
        return Verdict(False, rejected=why)
    if fail_only:
        f2p = {test: status.get(test) != FAILED for test in fail_to_pass}
        p2p = {test: status.get(test) != FAILED for test in pass_to_pass}
    else:
        f2p = {test: _outcome(test, status) in (PASSED, XFAIL) for test in fail_to_pass}
        p2p = {test: _outcome(test, status) in (PASSED, XFAIL, SKIPPED) for test in pass_to_pass}
    return Verdict(all(f2p.values()) and all(p2p.values()), f2p, p2p)


def read_log(log: str, parser: Parser) -> tuple[dict[str, str] | None, str]:
    """{test id: status} of the log, or None and the reason why the run is rejected."""
    for code in _SPOILED:
        if code in log:
            return None, code.removeprefix(">>>>> ").lower()
    if START not in log or END not in log:
        return None, "the test markers are missing from the log"
    status = parser(log.split(START, 1)[1].split(END, 1)[0]) or parser(log)
    code = exit_code_of_log(log)
    if not status:
        return None, "no test ran"
    if code not in (None, 0) and not any(value in (FAILED, ERROR) for value in status.values()):
        return None, f"the test command exited with {code} and reported no failure"
    return status, ""


def exit_code_of_log(log: str) -> int | None:
    """What the script recorded of its test command; None for scripts that record nothing."""
    found = re.search(rf"{re.escape(EXIT_CODE)}:\s*(-?\d+)", log)
    return int(found[1]) if found else None


def _outcome(test: str, status: Mapping[str, str]) -> str | None:
    """Status of one id. Some datasets cut parametrised ids inside the bracket; those match by prefix
    when all candidates agree on passing."""
    if test in status:
        return status[test]
    if test.count("[") > test.count("]"):
        found = [value for name, value in status.items() if name.startswith(test)]
        if found and len({value in (PASSED, XFAIL) for value in found}) == 1:
            return found[0]
    return None
