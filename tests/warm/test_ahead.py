"""While a model is asked the base commit's likeliest test files are run, and whoever checks is never in their way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from swe_agent.orchestrator.solving.check import Check, Verify
from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.impact.ranking import Impact
from swe_agent.tools.testing.impact.source_tree import SourceTree
from swe_agent.tools.testing.report import Outcome, TestReport, TestResult
from swe_agent.tools.workspace import Workspace

from .conftest import CountedRunner

Maker = Callable[..., tuple[Workspace, Project]]
MANY = {f"test_far_{n}.py": "\n".join(f"def test_{k}(): pass" for k in range(200)) for n in range(2)}
FILES = {
    "pytest.ini": "[pytest]\n",
    "rates.py": "def rate(x):\n    return x * 2\n",
    "test_rates.py": "import rates\ndef test_rate(): assert rates.rate(2) == 4\n"
    "def test_sad(): assert rates.rate(2) == 5\n",
}


@pytest.fixture
def suite_of(make: Maker, tmp_path: Path) -> Iterator[Callable[..., Suite]]:
    made: list[Suite] = []

    def build(**files: str) -> Suite:
        workspace, project = make({**MANY, **FILES, **files})
        impact = Impact(SourceTree(next(tmp_path.glob("repo*")), workspace.base_commit))
        runner = CountedRunner(project)
        made.append(Suite(runner, workspace, impact, issue="rate() is off", verify=Verify(60, 60)))
        made[-1].commit.ahead.idle = lambda: True
        return made[-1]

    yield build
    for suite in made:
        suite.commit.ahead.stop()


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + 60
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def check(suite: Suite) -> Check:
    with suite.base.fork() as fork:
        fork.write_text("rates.py", "def rate(x):\n    return x * 3\n")
        return asyncio.run(suite.check(fork, fork.diff(), ()))


def test_what_was_run_ahead_is_not_asked_again_and_changes_no_verdict(suite_of: Callable[..., Suite]) -> None:
    plain = suite_of()
    without = check(plain)
    suite = suite_of()
    suite.commit.ahead.start(["test_rates.py"])
    until(lambda: "test_rates.py" in suite.commit.ahead.heard)
    assert not suite.baseline.outcomes, "kept aside until somebody asks"
    check_ = check(suite)
    assert check_.comparison == without.comparison
    assert check_.comparison.broken == {"test_rates.py::test_rate"}
    assert check_.comparison.still_failing == {"test_rates.py::test_sad"}
    assert isinstance(suite.runner, CountedRunner)
    assert isinstance(plain.runner, CountedRunner)
    assert len(suite.runner.asked) < len(plain.runner.asked)


def test_a_check_ends_what_is_run_ahead_and_it_is_begun_again(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of(**{"test_slow.py": "import pathlib, time\ndef test_slow(): time.sleep(4)\n"})
    ahead = suite.commit.ahead
    ahead.start(["test_slow.py"])
    until(lambda: ahead._fork is not None)
    began = time.monotonic()
    with ahead.aside(), ahead.aside():
        assert time.monotonic() - began < 5
        time.sleep(1)
        assert ahead._fork is None
        assert not ahead.heard
    until(lambda: "test_slow.py" in ahead.heard)
    assert ahead.heard["test_slow.py"].results["test_slow.py::test_slow"].outcome.good


def test_the_files_are_those_that_the_issue_points_to(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of()
    suite.commit.run_ahead()
    assert suite.commit.ahead.files[0] == "test_rates.py"
    until(lambda: "test_rates.py" in suite.commit.ahead.heard)
    suite.commit.save()
    assert suite.baseline.failing == {"test_rates.py::test_sad"}, "the next run of the commit knows it"


class OldPytestRunner(CountedRunner):
    """What pytest 7 says of a file below a conftest that cannot be imported."""

    def run(self, workspace: Workspace, selection: Sequence[str] = (), **options: Any) -> TestReport:
        self.asked.append(tuple(selection))
        error = TestResult(Outcome.ERROR, None, "conftest.py:1: in <module>\nE   ModuleNotFoundError: nosuch")
        return TestReport({"": error}, 1, 0.1, unknown=tuple(selection))


def test_a_file_that_is_blocked_was_not_heard(suite_of: Callable[..., Suite]) -> None:
    commit = suite_of().commit
    commit.ahead.runner = runner = OldPytestRunner(commit.runner.project)
    commit.run_ahead()
    while len(runner.asked) < 1 and commit.ahead.files:
        time.sleep(0.05)
    commit.save()
    assert not commit.ahead.heard
    assert not commit.known.files
