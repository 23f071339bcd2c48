"""Which files a run was blocked by, from what runners say."""

from __future__ import annotations

import pytest

from swe_agent.orchestrator.solving.blocked import blockers, is_blocked, reason
from swe_agent.tools.testing.report import Outcome, TestReport, TestResult

PART = ("tests/test_a.py", "examples/x/test_b.py::test_b", "examples/x/more/test_c.py")
BELOW = {"examples/x/test_b.py", "examples/x/more/test_c.py"}
ERROR = "lib/importlib.py:1: in import_module\n{}conftest.py:6: in <module>\nE   ModuleNotFoundError: nosuch"


def report(name: str | None = None, message: str = "", output: str = "", **more: object) -> TestReport:
    results = {} if name is None else {name: TestResult(Outcome.ERROR, None, message)}
    return TestReport(results, 1, 1.0, output, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "files"),
    [
        (report("examples/x", "E   nosuch"), BELOW),
        (report("", ERROR.format("examples/x/"), unknown=PART), BELOW),
        (report("", ERROR.format(""), unknown=PART), {"tests/test_a.py", *BELOW}),
        (report("", "E   nobody knows", unknown=PART), set[str]()),
        (
            report(output="ImportError while loading conftest '/testbed/examples/x/conftest.py'.\nE   no"),
            BELOW,
        ),
        (
            report(output="ImportError while loading conftest '/testbed/conftest.py'."),
            {"tests/test_a.py", *BELOW},
        ),
        (report(output="Error importing plugin"), set[str]()),
    ],
)
def test_what_is_blocked(said: TestReport, files: set[str]) -> None:
    assert is_blocked(PART, said)
    assert set(blockers(PART, said)) == files


def test_what_blocks_one_alone_blocks_all_that_say_the_same() -> None:
    said = report(output="Traceback\nImportError: no plugin")
    alone = blockers(PART[:1], said)
    assert alone.keys() == {"tests/test_a.py"}
    reasons = {reason(result) for result in alone.values()}
    assert blockers(PART, said, reasons).keys() == {"tests/test_a.py", *BELOW}
    assert not blockers(PART, report(output="ImportError: another"), reasons)


def test_what_is_not_blocked() -> None:
    ran = TestResult(Outcome.PASSED)
    assert not is_blocked(PART, TestReport({"tests/test_a.py::test": ran}, 1, 1.0))
    assert not is_blocked(PART, TestReport({}, 5, 1.0, unknown=PART)), "files that are gone"
    assert not is_blocked(PART, TestReport({}, 0, 1.0))
    assert not is_blocked(PART, report(timed_out=True))
    assert not is_blocked(PART[:1], report("tests/test_a.py", "E   SyntaxError")), "its own error"
    asked = ("tests/test_a.py::test_1", "tests/test_a.py::test_2")
    assert not is_blocked(asked, report("tests/test_a.py", "E   SyntaxError", unknown=asked))
