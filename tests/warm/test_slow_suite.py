"""A slow suite: candidates are judged by the tests near them and those that execute the touched lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]


def test_a_regression_far_from_the_change_by_name_is_seen_by_coverage(make: Maker) -> None:
    workspace, project = make(
        {
            "pytest.ini": "[pytest]\n",
            "rates.py": "def rate(x):\n    return x * 2\n\n\ndef other(x):\n    return x\n",
            "test_rates.py": "import rates\ndef test_zero(): assert rates.rate(0) == 0\n",
            "test_invoice.py": "import rates\ndef test_total(): assert rates.rate(4) == 8\n"
            "def test_other(): assert rates.other(4) == 4\n",
        }
    )
    with TestRunner(project) as runner:
        suite = Suite(runner, workspace, fast_s=-1.0)
        asyncio.run(suite.measure(runs=1))
        with workspace.fork() as fork:
            fork.write_text("rates.py", fork.read_text("rates.py").replace("x * 2", "x * 3"))
            check = asyncio.run(suite.check(fork, fork.diff(), ()))
    assert not check.whole
    assert check.report is not None
    assert check.comparison.broken == {"test_invoice.py::test_total"}
    assert set(check.report.results) == {"test_rates.py::test_zero", "test_invoice.py::test_total"}
