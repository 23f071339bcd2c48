"""propose on small repositories, in a real sandbox."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swe_agent.agents.offline.propose import propose
from swe_agent.tools.project.spec import Project

MEDIAN = '''
def median(values):
    """Middle value; mean of the two middle ones for an even count."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 3
'''
MEDIAN_TEST = """
from stats import median

def test_odd():
    assert median([3, 1, 2]) == 2

def test_even():
    assert median([1, 2, 3, 4]) == 2.5
    assert median([4, 2]) == 3
"""


def test_one_edit(make_workspace, project: Project):
    workspace = make_workspace({"stats.py": MEDIAN, "test_stats.py": MEDIAN_TEST})
    before = workspace.tree_hash()
    found = propose(workspace, project, ["test_stats.py::test_even"], time_limit_s=30)
    assert found.patches, found
    best = found.patches[0]
    assert best.files == ("stats.py",)
    assert "/ 2" in best.patch.text
    assert [p.rank for p in found.patches] == list(range(1, len(found.patches) + 1))
    for path, old, new in best.edits:
        text = workspace.read_text(path)
        assert text.count(old) == 1
        workspace.write_text(path, text.replace(old, new))
    assert workspace.diff().text == best.patch.text
    assert before != workspace.tree_hash()
    assert workspace.exec("python -m pytest -q").exit_code == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_order_does_not_depend_on_workers(make_workspace, project: Project, workers: int):
    workspace = make_workspace({"stats.py": MEDIAN, "test_stats.py": MEDIAN_TEST})
    found = propose(workspace, project, ["test_stats.py::test_even"], time_limit_s=30, workers=workers)
    assert found.patches[0].template == "numeric constant"


def test_nothing_fails(make_workspace, project: Project):
    workspace = make_workspace({"stats.py": MEDIAN, "test_stats.py": MEDIAN_TEST})
    found = propose(workspace, project, ["test_stats.py::test_odd"], time_limit_s=20)
    assert not found.patches
    assert "none of the named tests fails" in found.message


def test_unittest_ids(make_workspace, project: Project):
    tests = """
import unittest
from stats import median

class MedianTest(unittest.TestCase):
    def test_even(self):
        self.assertEqual(median([1, 2, 3, 4]), 2.5)
        self.assertEqual(median([2, 4]), 3)

    def test_odd(self):
        self.assertEqual(median([3, 1, 2]), 2)
"""
    workspace = make_workspace({"stats.py": MEDIAN, "test_stats.py": tests})
    found = propose(workspace, project, ["test_stats.MedianTest.test_even"], time_limit_s=40, k=1)
    assert found.patches, found
    assert "/ 2" in found.patches[0].patch.text


def test_a_project_without_pytest(make_workspace, project: Project):
    """The same through the standard library's runner: pytest is made impossible to import."""
    tests = """
import unittest
from stats import median

class MedianTest(unittest.TestCase):
    def test_even(self):
        self.assertEqual(median([1, 2, 3, 4]), 2.5)
        self.assertEqual(median([2, 4]), 3)

    def test_odd(self):
        self.assertEqual(median([3, 1, 2]), 2)
"""
    hidden = {"pytest.py": "raise ImportError('not here')\n", "stats.py": MEDIAN, "test_stats.py": tests}
    workspace = make_workspace(hidden)
    found = propose(workspace, project, ["test_stats.MedianTest.test_even"], time_limit_s=40, k=2)
    assert found.patches, found
    assert "/ 2" in found.patches[0].patch.text


def test_a_package_with_relative_imports_fixtures_and_parameters(make_workspace, project: Project):
    files = {
        "shop/__init__.py": "from .cart import Cart\n",
        "shop/cart.py": "from .tax import with_tax as taxed\n\n\nclass Cart:\n    def __init__(self, items):\n"
        "        self.items = list(items)\n\n    @property\n    def total(self):\n"
        "        return taxed(sum(price * count for price, count in self.items))\n",
        "shop/tax.py": "RATE = 20\n\n\ndef with_tax(net):\n    return net + net * RATE // 10\n",
        "tests/conftest.py": "import pytest\nfrom shop import Cart\n\n\n@pytest.fixture\ndef cart():\n"
        "    return Cart([(10, 2), (5, 4)])\n",
        "tests/test_cart.py": "import pytest\nfrom shop import Cart\n\n\ndef test_total(cart):\n"
        "    assert cart.total == 48\n\n\n@pytest.mark.parametrize(('items', 'total'), [([(100, 1)], 120), ([], 0)])\n"
        "def test_totals(items, total):\n    assert Cart(items).total == total\n",
    }
    workspace = make_workspace(files)
    found = propose(
        workspace, project, ["tests/test_cart.py::test_total", "tests/test_cart.py::test_totals[items0-120]"],
        time_limit_s=60, k=4,
    )  # fmt: skip
    assert found.patches, found
    assert all(
        proposal.files == ("shop/tax.py",) or proposal.files == ("shop/cart.py",)
        for proposal in found.patches
    )
    assert any("// 100" in proposal.patch.text for proposal in found.patches)


def test_a_fault_at_import_time(make_workspace, project: Project):
    files = {
        "table.py": "SIZES = {name: index for index, name in enumerate(['small', 'large'], 0)}\n"
        "assert SIZES['small'] == 1\n\n\ndef size(name):\n    return SIZES[name]\n",
        "test_table.py": "from table import size\n\n\ndef test_size():\n    assert size('large') == 2\n",
    }
    workspace = make_workspace(files)
    found = propose(workspace, project, ["test_table.py::test_size"], time_limit_s=90, k=1)
    assert found.patches, found
    assert "1)}" in found.patches[0].patch.text


def test_two_edits(make_workspace, project: Project):
    files = {
        "area.py": "def area(width, height):\n    return width + height\n\n\ndef border(width, height):\n"
        "    total = 2 * width\n    total = total + 3 * height\n    return total - 1\n",
        "test_area.py": "from area import area, border\n\n\ndef test_area():\n    assert area(2, 3) == 5\n\n\n"
        "def test_border():\n    assert border(1, 0) == 2\n    assert border(0, 1) == 2\n    assert border(3, 5) == 16\n"
        "    assert border(4, 1) == 10\n    assert border(7, 9) == 32\n",
    }
    workspace = make_workspace(files)
    found = propose(workspace, project, ["test_area.py::test_border"], time_limit_s=120, k=1)
    assert found.patches, found


DOCTEST = '''
def discounted(price, percent):
    """The price after a discount.

    >>> discounted(200, 10)
    180.0
    """
    return price + price * percent / 100
'''


def test_a_doctest(make_workspace, project: Project):
    """The file under repair is named on pytest's command line, and the examples' names are used up by a run."""
    command = replace(project.test_command, command="python -m pytest --doctest-modules")
    workspace = make_workspace({"prices.py": DOCTEST})
    found = propose(
        workspace, replace(project, test_command=command), ["prices.py::prices.discounted"], time_limit_s=30
    )
    assert "return price - price" in found.patches[0].patch.text


def test_ids_of_a_project_below_the_root(make_workspace, project: Project):
    """pytest takes the folder of that project's pyproject.toml for its root; our ids are the repository's."""
    workspace = make_workspace(
        {
            "one/pyproject.toml": "[project]\nname = 'one'\n",
            "one/stats.py": MEDIAN,
            "one/test_stats.py": MEDIAN_TEST,
        }
    )
    found = propose(workspace, project, ["one/test_stats.py::test_even"], time_limit_s=30)
    assert found.patches, found
    assert found.patches[0].files == ("one/stats.py",)


def test_a_runner_that_it_does_not_know_is_named(make_workspace, project: Project):
    command = replace(project.test_command, command="make test", runner="custom")
    workspace = make_workspace({"stats.py": MEDIAN})
    found = propose(workspace, replace(project, test_command=command), ["command"])
    assert not found.patches
    assert "`make test`" in found.message


@pytest.mark.parametrize("without", [True, False])
def test_unittest_ids_relative_to_a_folder(make_workspace, project: Project, without: bool):
    """`unittest discover -s tests` over a folder that is no package, with pytest installed and without."""
    tests = (
        "import unittest\nfrom stats import median\n\nclass MedianTest(unittest.TestCase):\n"
        "    def test_even(self):\n        self.assertEqual(median([1, 2, 3, 4]), 2.5)\n"
        "    def test_odd(self):\n        self.assertEqual(median([3, 1, 2]), 2)\n"
    )
    command = replace(project.test_command, command="python -m unittest discover -s tests", runner="unittest")
    hidden = {"pytest.py": "raise ImportError('not here')\n"} if without else {}
    workspace = make_workspace({**hidden, "stats.py": MEDIAN, "tests/test_stats.py": tests})
    found = propose(
        workspace,
        replace(project, test_command=command),
        ["test_stats.MedianTest.test_even"],
        time_limit_s=40,
    )
    assert found.patches, found
    assert found.patches[0].files == ("stats.py",)


HALVES = """
def halvings(n):
    count = 0
    while n != 1:
        n //= 2
        count += 1
    return count
"""
HANGS = """
import pytest
from it import halvings

@pytest.fixture(scope="module")
def table():
    return {0: 0, 1: 0, 8: 3, 9: 3}

@pytest.mark.parametrize("n", [0, 1, 8, 9])
def test_it(n, table):
    assert halvings(n) == table[n]
"""
PLAIN = """
def plain(path):
    if path.startswith("./"):
        path = path[1:]
    return path
"""
PARTS = """
import unittest
from it import plain

class PlainTest(unittest.TestCase):
    def test_it(self):
        for path in ("-", "a", "./a", "./a/b", "/a"):
            with self.subTest(path):
                if path == "-":
                    self.skipTest("not here")
                self.assertEqual(plain(path), path.removeprefix("./"))
"""


@pytest.mark.parametrize(
    ("source", "tests", "name", "edit"),
    [
        # The alarm tears it off in the middle; what is set up for its module must be there for the next one.
        pytest.param(HALVES, HANGS, "test_it", "while n > 1:", id="a test that hangs"),
        # Subtests are reported one by one and raise nothing, and one that is skipped skips no test.
        pytest.param(PLAIN, PARTS, "PlainTest::test_it", "path[2:]", id="subtests"),
    ],
)
def test_tests_of_every_kind(
    make_workspace, project: Project, source: str, tests: str, name: str, edit: str
) -> None:
    workspace = make_workspace({"it.py": source, "test_it.py": tests})
    found = propose(workspace, project, [f"test_it.py::{name}"], k=1)
    assert found.patches, found.message
    assert edit in found.patches[0].patch.text
    assert found.statistics["mode"] == "reuse"


@pytest.mark.parametrize("wanted", ["middle", "last"])
def test_a_patch_that_mends_more_goes_first(make_workspace, project: Project, wanted: str):
    """One test is known to be the issue's, and two edits satisfy it; another that fails knows which is right."""
    source = "def pick(first, middle, last):\n    return first\n"
    right = {"middle": "assert pick(1, 2, 3) == 2", "last": "assert pick(1, 2, 3) == 3"}[wanted]
    tests = (
        "from pick import pick\n\ndef test_known():\n    assert pick(1, 2, 2) == 2\n\n"
        f"def test_exactly():\n    {right}\n\ndef test_of_the_machine():\n    raise OSError\n"
    )
    workspace = make_workspace({"pick.py": source, "test_pick.py": tests})
    others = ["test_pick.py::test_of_the_machine", "test_pick.py::test_exactly"]
    found = propose(workspace, project, ["test_pick.py::test_known"], k=3, also=others)
    added = [line for line in found.patches[0].patch.text.splitlines() if line.startswith("+ ")]
    assert any(wanted in line for line in added), added
