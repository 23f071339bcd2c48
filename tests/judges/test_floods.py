"""Code under test may write any number of lines into its report; that costs a bounded time and is told."""

from __future__ import annotations

import time
from collections.abc import Callable

from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]
FLOOD = (
    "import glob\ndef test_flood():\n    for f in glob.glob('.g' + 'it/swe-agent/run-*/report.jsonl'):\n"
    "        with open(f, 'a') as out:\n            out.write({line!r} * {count})\n"
)


def test_lines_that_are_nobodys(make: Maker) -> None:
    line = '{"test": "tests/test_flood.py::test_other", "outcome": "passed"}\n'
    workspace, project = make(
        {"tests/test_flood.py": FLOOD.format(line=line, count=300_000) + "def test_more(): assert 0\n"},
        "python -m pytest",
    )
    started = time.monotonic()
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert time.monotonic() - started < 60
    assert "tests/test_flood.py::test_other" not in report.results
    assert "the report holds lines that the test runner did not write" in report.marks


def test_a_line_without_end(make: Maker) -> None:
    workspace, project = make(
        {"tests/test_flood.py": FLOOD.format(line="x", count=100 << 20)}, "python -m pytest"
    )
    started = time.monotonic()
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert time.monotonic() - started < 60
    assert not report.ended or report.marks


def test_tests_without_end(make: Maker) -> None:
    many = "import pytest\n@pytest.mark.parametrize('n', range(300))\ndef test_n(n): assert n < 0, 'x' * 100_000\n"
    workspace, project = make({"tests/test_many.py": many}, "python -m pytest --tb=line")
    started = time.monotonic()
    report = TestRunner(project, warm=False).run(workspace, cold=True)
    assert time.monotonic() - started < 60
    assert len(report.results) == 300
    assert sum(len(result.message) for result in report.results.values()) < 64 << 20
