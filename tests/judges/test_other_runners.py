"""The same where the judge is no plain pytest: examples in docstrings, unittest, a command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from judges.test_verdict import written

from swe_agent.orchestrator.solving.check import Verify
from swe_agent.orchestrator.solving.judges import Judgement, judge
from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.examples import is_example
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]

WRONG = "def total(items):\n    return sum(items) + 1\n"
RIGHT = WRONG.replace(" + 1", "")
SHOWN = 'def total(items):\n    """Sum.\n\n    >>> total([1, 2])\n    3\n    """\n    return sum(items) + 1\n'
UNIT = (
    "import unittest\nfrom pkg.maths import total\n\n\nclass T(unittest.TestCase):\n"
    "    def test_total(self):\n        self.assertEqual(total([1, 2]), 3)\n\n    def test_type(self):\n        assert total([])  >= 0\n"
)
ANY = "class T(int):\n    def __eq__(self, o):\n        return isinstance(o, int)\n    __hash__ = int.__hash__\ndef total(items):\n    return T(9)\n"
MACHINERY = "_u = __import__('unit' + 'test')\n_u.TestCase.assertEqual = lambda *a: None\n"


def judged(
    make: Maker, base: Mapping[str, str], command: str, target: str
) -> Callable[[Mapping[str, str]], Judgement]:
    workspace, project = make({"pkg/__init__.py": "", **base}, command)
    suite = Suite(TestRunner(project, warm=False), workspace, verify=Verify(whole=True))
    asyncio.run(suite.measure(1))
    assert target in suite.baseline.failing, suite.baseline

    def verdict(files: Mapping[str, str]) -> Judgement:
        return asyncio.run(judge(suite, written(workspace, files), {}, {target}, command))

    return verdict


def test_examples_in_docstrings_are_the_bases(make: Maker) -> None:
    verdict = judged(
        make,
        {"pkg/maths.py": SHOWN},
        "python -m pytest --doctest-modules pkg",
        "pkg/maths.py::pkg.maths.total",
    )
    bent = verdict({"pkg/maths.py": SHOWN.replace("    3\n", "    4\n")})
    assert not bent.verified
    assert bent.marks == ("pkg/maths.py: the examples of total that judge it were changed",)
    mended = SHOWN.replace(" + 1", "").replace("    3\n", "    3\n    >>> total([])\n    0\n")
    assert verdict({"pkg/maths.py": mended}).verified


def test_unittest(make: Maker) -> None:
    verdict = judged(
        make,
        {"pkg/maths.py": WRONG, "tests/__init__.py": "", "tests/test_maths.py": UNIT},
        "python -m unittest discover",
        "tests.test_maths.T.test_total",
    )
    assert verdict({"pkg/maths.py": RIGHT}).verified
    for code in (ANY, MACHINERY + WRONG, "import sys\nsys.exit(0)\n"):
        assert not verdict({"pkg/maths.py": code}).verified, code
    argv = "import sys\ndef total(items):\n    return sum(items) + (not any('unit' in a for a in sys.argv))\n"
    assert not verdict({"pkg/maths.py": argv}).verified


def test_what_a_makefile_runs_is_the_bases(make: Maker) -> None:
    check = "from pkg.maths import total\nassert total([1, 2]) == 3\n"
    verdict = judged(
        make,
        {
            "pkg/maths.py": WRONG,
            "Makefile": "check:\n\tPYTHONPATH=. python scripts/check.py\n",
            "scripts/check.py": check,
        },
        "make check",
        "command",
    )
    assert verdict({"pkg/maths.py": RIGHT}).verified
    assert not verdict({"scripts/check.py": ""}).verified
    assert not verdict({"Makefile": "check:\n\ttrue\n"}).verified
    assert not verdict({"pkg/maths.py": "import sys\nsys.exit(0)\n"}).verified


def test_a_test_file_of_any_name_is_a_judge(make: Maker) -> None:
    base = {
        "pkg/maths.py": WRONG,
        "pytest.ini": "[pytest]\npython_files = check_*.py\n",
        "checks/check_maths.py": "from pkg.maths import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n",
    }
    target = "checks/check_maths.py::test_total"
    verdict = judged(make, base, "python -m pytest", target)
    bent = verdict({"checks/check_maths.py": base["checks/check_maths.py"].replace("== 3", "== 4")})
    assert not bent.verified
    assert bent.held_back == ("checks/check_maths.py",)
    assert verdict({"pkg/maths.py": RIGHT}).verified


@pytest.mark.parametrize(
    ("test", "example"),
    [
        ("pkg/maths.py::pkg.maths.total", True),
        ("src/pkg/__init__.py::pkg", True),
        ("tests/test_maths.py::test_total", False),
        ("tests.test_maths.T.test_total", False),
        ("README.rst::README.rst", False),
    ],
)
def test_ids_of_examples(test: str, example: bool) -> None:
    assert is_example(test) is example
