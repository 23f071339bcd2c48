"""Repositories that nobody prepared: what their own settings and their size must not end."""

from __future__ import annotations

import pytest

from swe_agent.agents.offline.propose import propose
from swe_agent.tools.project.spec import Project

STRICT = {
    "pytest.ini": "[pytest]\nfilterwarnings = error\n",
    "left.py": "def least(n):\n    return n if n < 0 else 0\n",
    "right.py": "def most(n):\n    return n - 1\n",
    "test_both.py": """
import pytest
from left import least
from right import most

@pytest.mark.parametrize("n", range(450))
def test_least(n):
    assert least(n) == 0

def test_below():
    assert least(-3) == -3

def test_most():
    assert most(4) == 5
    assert most(-1) == 0
""",
}


def test_strict_warnings_with_plugins_and_many_tests(make_workspace, project: Project):
    """Warnings are errors, plugins are installed, and more tests pass than an ordinary run is given by name."""
    found = propose(make_workspace(STRICT), project, ["test_both.py::test_most"], effort=600)
    assert found.patches, found.message
    assert found.patches[0].files == ("right.py",)
    assert "n + 1" in found.patches[0].patch.text


def test_two_causes_in_two_files(make_workspace, project: Project):
    files = {
        **STRICT,
        "left.py": "def least(n):\n    return n if n > 0 else 0\n",
        "test_both.py": STRICT["test_both.py"].replace("range(450)", "range(1)"),
    }
    tests = ["test_both.py::test_most", "test_both.py::test_below"]
    found = propose(make_workspace(files), project, tests, effort=3000, k=1)
    assert found.patches, found.message
    assert found.patches[0].files == ("left.py", "right.py")


def test_a_search_that_finds_nothing_says_what_it_did(make_workspace, project: Project):
    files = {
        "a.py": "def f(n):\n    return n\n",
        "test_a.py": "from a import f\ndef test_f():\n    assert f(2) == object\n",
    }
    found = propose(make_workspace(files), project, ["test_a.py::test_f"], effort=50)
    assert not found.patches
    assert "candidates were tried" in found.message
    assert found.tried <= 4 * 50  # tests as short as this: four candidates count for one


AT_IMPORT = {
    "default": (
        "a.py",
        'def f(n, step=2):\n    """The next number."""\n    return n + step\n',
        "from a import f\ndef test_f():\n    assert f(1) == 2\n    assert f(4) == 5\n",
        "step=1",
    ),
    "table of another module": (
        "tables.py",
        "SIZES = {'small': 1, 'middle': 3}\n",
        "from a import f\ndef test_f():\n    assert f('middle') == 2\n    assert f('small') == 1\n",
        "'middle': 2",
    ),
    "decorator": (
        "a.py",
        "class A:\n    @property\n    def one(self):\n        return 1\n\n    def two(self):\n        return 2\n",
        "from a import A\ndef test_f():\n    assert A().two + A().one == 3\n",
        "+    @property",
    ),
}


@pytest.mark.parametrize("kind", AT_IMPORT)
def test_what_runs_at_import_is_mended(make_workspace, project: Project, kind: str):
    path, source, tests, expected = AT_IMPORT[kind]
    files = {"a.py": "from tables import SIZES\ndef f(name):\n    return SIZES[name]\n", path: source}
    found = propose(
        make_workspace({**files, "test_a.py": tests}), project, ["test_a.py::test_f"], effort=2000
    )
    assert found.patches, found.message
    assert any(expected in proposal.patch.text for proposal in found.patches)
