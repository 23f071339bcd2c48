"""Which generated tests are kept, and how they are clustered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swe_agent.orchestrator.solving.reproduction import failure_of, refusal, sift
from swe_agent.tools.testing.report import Outcome, TestReport, TestResult

FILE = "tests/test_issue.py"


def failed(message: str, outcome: Outcome = Outcome.FAILED) -> TestResult:
    return TestResult(outcome, message=message)


ASSERTION = (
    "def test_a():\n>       assert f(2) == 4\nE       assert 5 == 4\n\ntests/test_issue.py:9: AssertionError"
)
LIBRARY = "E       KeyError: 'x'\n\npkg/core.py:31: KeyError"
PASSED = TestResult(Outcome.PASSED)


@pytest.mark.parametrize(
    ("results", "issue", "expected"),
    [
        ([failed(ASSERTION)] * 3, "wrong sum", None),
        ([PASSED] * 3, "wrong sum", "passes on the base commit"),
        ([failed(ASSERTION), PASSED, failed(ASSERTION)], "wrong sum", "every time"),
        ([failed(ASSERTION), None, failed(ASSERTION)], "wrong sum", "not collected every time"),
        ([failed(ASSERTION)] * 2, "wrong sum", "2 times"),
        ([failed(ASSERTION), failed(LIBRARY), failed(ASSERTION)], "wrong sum", "in different ways"),
        ([failed("E   ModuleNotFoundError: No module named 'numpy'")] * 3, "wrong sum", "ModuleNotFoundError"),
        ([failed("E   ImportError: cannot import name 'g'")] * 3, "ImportError when g is imported", None),
        ([failed("E     File \"x.py\", line 3\nE   SyntaxError: invalid syntax")] * 3, "wrong sum", "SyntaxError"),
        ([failed("E       fixture 'db' not found", Outcome.ERROR)] * 3, "wrong sum", "FixtureLookupError"),
        ([failed(LIBRARY)] * 3, "crashes on an unknown name", None),
        ([failed("E   NameError: name 'foo' is not defined\n\ntests/test_issue.py:4: NameError")] * 3, "wrong", "of its own"),
        (
            [failed("E   AttributeError: 'Box' object has no attribute 'depth'\n\ntests/test_issue.py:4: AttributeError")] * 3,
            "Box needs a depth",
            None,
        ),
        ([failed("E   Failed: DID NOT RAISE <class 'ValueError'>\n\ntests/test_issue.py:4: Failed")] * 3, "accepts bad input", None),
        ([failed("Timeout >5.0s")] * 3, "wrong sum", "times out"),
        ([failed("Timeout >5.0s")] * 3, "the parser hangs on empty input", None),
        ([TestResult(Outcome.SKIPPED)] * 3, "wrong sum", "skipped"),
        ([failed("Traceback\n  File \"/w/tests/x.py\", line 4, in t\nAssertionError: 1 != 2")] * 3, "wrong", None),
    ],
)  # fmt: skip
def test_what_shows_the_issue(results: list[TestResult | None], issue: str, expected: str | None) -> None:
    why = refusal(results, issue, test_file=FILE)
    assert (why is None) if expected is None else (why is not None and expected in why), why


def test_signatures_ignore_addresses_numbers_and_paths() -> None:
    one = failure_of(failed("E   AssertionError: <Box at 0x7f01> != 3.5 in /tmp/a/b.txt"))
    two = failure_of(failed("E   AssertionError: <Box at 0x99ff> != 4 in /var/c.txt"))
    other = failure_of(failed("E   AssertionError: no such key"))
    assert one.signature == two.signature != other.signature


def report(**results: TestResult) -> TestReport:
    return TestReport({f"{FILE}::{name}": result for name, result in results.items()}, 1, 0.1)


def test_tests_that_fail_alike_share_their_weight() -> None:
    sum_wrong, crash = failed(ASSERTION), failed(LIBRARY)
    runs = [report(a=sum_wrong, b=sum_wrong, c=sum_wrong, d=sum_wrong, e=crash, f=PASSED)] * 3
    kept = sift(runs, [FILE, "tests/test_gone.py"], "wrong sum, or a crash")
    assert [len(cluster.tests) for cluster in kept.clusters] == [4, 1]
    assert kept.weights[f"{FILE}::a"] == pytest.approx(0.5)
    assert kept.weights[f"{FILE}::e"] == 1
    assert kept.tests == tuple(f"{FILE}::{name}" for name in "abcde")
    assert kept.refused == {
        f"{FILE}::f": "passes on the base commit",
        "tests/test_gone.py": "cannot be collected",
    }


def test_what_pytest_prints_is_understood(tmp_path: Path) -> None:
    """Against the real runner's words, not our idea of them."""
    (tmp_path / "pkg.py").write_text("def f(x):\n    return {}[x]\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest, pkg\n"
        "def test_assert():\n    assert 1 + 1 == 3\n"
        "def test_library():\n    pkg.f(2)\n"
        "def test_own():\n    undefined\n"
        "def test_raises():\n    with pytest.raises(ValueError):\n        pass\n"
        "def test_fixture(nothing):\n    pass\n"
        "def test_import():\n    import no_such_module\n"
    )
    junit = tmp_path / "out.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}", "test_it.py"],
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    from xml.etree import ElementTree

    verdicts = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        (bad,) = case
        outcome = Outcome.FAILED if bad.tag == "failure" else Outcome.ERROR
        result = TestResult(outcome, message=bad.text or bad.get("message", ""))
        verdicts[case.get("name")] = refusal([result] * 3, "wrong sum", test_file="test_it.py")
    assert verdicts == {
        "test_assert": None,
        "test_library": None,
        "test_own": "fails by a NameError of its own",
        "test_raises": None,
        "test_fixture": "fails by FixtureLookupError, which is not the issue",
        "test_import": "fails by ModuleNotFoundError, which is not the issue",
    }
