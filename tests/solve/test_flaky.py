"""A test that flips, but not in the two runs of the baseline."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.tools.patch import Patch
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

from .conftest import git

COUNTED = """
from pathlib import Path
counter = Path({counter!r})

def test_counted():
    number = int(counter.read_text()) + 1
    counter.write_text(str(number))
    assert number not in {failing}

def test_code():
    from code_ import VALUE
    assert VALUE == 1
"""


@pytest.fixture
def suite_that(tmp_path: Path) -> Iterator[Callable[[set[int]], Suite]]:
    """A suite whose first test fails in the runs with the given numbers, on every fork alike."""
    opened: list[Workspace] = []

    def make(failing: set[int]) -> Suite:
        source, counter = tmp_path / "repo", tmp_path / "counter"
        counter.write_text("0")
        source.mkdir()
        (source / "test_it.py").write_text(COUNTED.format(counter=str(counter), failing=failing))
        (source / "code_.py").write_text("VALUE = 1\n")
        git(source, "init", "-q")
        git(source, "add", "-A")
        git(source, "commit", "-qm", "base")
        sandbox = open_sandbox("plain", SandboxSpec(source, tmp_path / "scratch"))
        opened.append(Workspace(sandbox, git(source, "rev-parse", "HEAD").strip()))
        command = TestCommand(f"{sys.executable} -m pytest", "pytest")
        return Suite(TestRunner(Project(command, Path(sys.executable)), warm=False), opened[-1])

    yield make
    for workspace in opened:
        workspace.close()


def broken(suite: Suite, value: int = 1) -> tuple[set[str], set[str]]:
    """(broken, flaky) of a candidate that sets VALUE."""

    async def run() -> tuple[set[str], set[str]]:
        await suite.measure()
        assert not suite.baseline.flaky
        with suite.base.fork() as fork:
            fork.write_text("code_.py", f"VALUE = {value}\n")
            check = await suite.check(fork, Patch(""), (), final=True)
        return set(check.comparison.broken), set(suite.baseline.flaky)

    return asyncio.run(run())


def test_one_that_flips_on_the_base_too_is_flaky(suite_that: Callable[[set[int]], Suite]) -> None:
    assert broken(suite_that({3, 5})) == (set(), {"test_it.py::test_counted"})


def test_one_that_always_fails_by_itself_stays_broken(suite_that: Callable[[set[int]], Suite]) -> None:
    assert broken(suite_that({3, 4, 5, 6, 7, 8, 9})) == ({"test_it.py::test_counted"}, set())


def test_a_real_regression_stays_broken(suite_that: Callable[[set[int]], Suite]) -> None:
    assert broken(suite_that({3, 4}), value=2) == ({"test_it.py::test_code"}, {"test_it.py::test_counted"})
