"""A large suite: a candidate is judged by the tests nearest to it, and the base is asked only about what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.solving.base_commit import BaseCommit
from swe_agent.orchestrator.solving.base_knowledge import KnowledgeCache
from swe_agent.orchestrator.solving.check import Check, Verify
from swe_agent.orchestrator.solving.purchase import buy, questions
from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.orchestrator.solving.test_names import file_of
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.impact.ranking import Impact
from swe_agent.tools.testing.impact.source_tree import SourceTree
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

from .conftest import CountedRunner

Maker = Callable[..., tuple[Workspace, Project]]
MANY = {f"test_far_{n}.py": "\n".join(f"def test_{k}(): pass" for k in range(200)) for n in range(2)}
RATES = {
    "pytest.ini": "[pytest]\n",
    "rates.py": "def rate(x):\n    return x * 2\n\n\ndef other(x):\n    return x\n",
    "test_rates.py": "import rates\ndef test_zero(): assert rates.rate(0) == 0\n",
    "test_invoice.py": "import rates\ndef test_total(): assert rates.rate(4) == 8\n"
    "def test_other(): assert rates.other(4) == 4\n\n\ndef test_sad(): assert rates.other(1) == 2\n",
}


@pytest.fixture
def suite_of(make: Maker, tmp_path: Path) -> Callable[..., Suite]:
    def build(files: Mapping[str, str] = RATES, seconds: float = 60.0) -> Suite:
        workspace, project = make({**MANY, **files})
        impact = Impact(SourceTree(next(tmp_path.glob("repo*")), workspace.base_commit))
        cache = KnowledgeCache(tmp_path / "cache", workspace.base_commit, project)
        runner = TestRunner(project, warm=False)
        return Suite(runner, workspace, impact, verify=Verify(seconds, seconds), cache=cache)

    return build


def checked(suite: Suite, edits: Mapping[str, tuple[str, str]], targets: tuple[str, ...] = ()) -> Check:
    with suite.base.fork() as fork:
        for path, (old, new) in edits.items():
            assert old in fork.read_text(path)
            fork.write_text(path, fork.read_text(path).replace(old, new))
        return asyncio.run(suite.check(fork, fork.diff(), targets))


def test_how_a_test_failed_is_known_to_the_next_run(suite_of: Callable[..., Suite]) -> None:
    first = suite_of()
    checked(first, {"rates.py": ("x * 2", "x * 3")})
    first.commit.save()
    cache = first.commit.cache
    assert cache is not None
    kept = cache.read().failures
    assert kept.keys() == {"test_invoice.py::test_sad"}
    known = first.commit.known.failures
    assert {test: result.message for test, result in kept.items()} == {
        test: result.message for test, result in known.items()
    }


def test_a_conftest_that_cannot_be_imported_costs_one_run_more(suite_of: Callable[..., Suite]) -> None:
    broken = {
        "ex/conftest.py": "import nosuch",
        "ex/test_a.py": "def test_a(): pass",
        "ex/more/test_b.py": "",
    }
    suite = suite_of({**RATES, **broken, "more/test_c.py": "def test_c(): pass"})
    runner = CountedRunner(suite.runner.project)
    part = ("test_rates.py", "ex/test_a.py", "more/test_c.py", "ex/more/test_b.py")
    bought = buy(runner, suite.base, [part], wall_s=60, cold=True)
    assert runner.asked == [part, ("test_rates.py", "more/test_c.py")]
    kept = {name for name, result in bought.results.items() if result.outcome.bad}
    assert kept == {"ex/test_a.py", "ex/more/test_b.py"}
    assert bought.results.keys() - kept == {"test_rates.py::test_zero", "more/test_c.py::test_c"}
    assert not bought.marks
    assert not bought.unknown


PLUGIN = {"pytest.ini": "[pytest]\naddopts = -p rates\n"}


@pytest.mark.parametrize("how", ["folder", "root", "plugin"])
def test_a_patch_that_keeps_tests_from_being_collected_breaks_them(
    suite_of: Callable[..., Suite], how: str
) -> None:
    files = {
        "rates.py": "R = 1\n",
        "other.py": "O = 1\n",
        "a/test_a.py": "def test_a(): pass\ndef test_sad(): assert 0\n",
        "b/test_b.py": "import other\ndef test_b(): assert other.O\n",
        **(PLUGIN if how == "plugin" else {"pytest.ini": "[pytest]\n"}),
    }
    if how != "plugin":
        files["a/conftest.py" if how == "folder" else "conftest.py"] = "import rates\n"
    suite = suite_of(files)
    check = checked(suite, {"rates.py": ("R = 1", "R = nothing"), "other.py": ("O = 1", "O = 2")})
    lost = {"a/test_a.py::test_a"} | ({"b/test_b.py::test_b"} if how != "folder" else set())
    assert lost <= check.comparison.broken
    assert not check.green
    assert check.report is not None
    assert not check.report.marks
    assert ("b/test_b.py::test_b" in check.report.passing) is (how == "folder")


def test_what_the_base_cannot_collect_either_is_not_the_patchs(suite_of: Callable[..., Suite]) -> None:
    files = {
        "other.py": "O = 1\n",
        "a/conftest.py": "import nosuch\n",
        "a/test_a.py": "import other\ndef test_a(): pass\n",
        "b/test_b.py": "import other\ndef test_b(): assert other.O\n",
        "pytest.ini": "[pytest]\n",
    }
    check = checked(suite_of(files), {"other.py": ("O = 1", "O = 2")})
    assert check.green
    assert check.comparison.still_failing == {"a/test_a.py"}
    assert "a/test_a.py" not in check.evidence.files_run
    assert check.evidence.reaching_run == 1


def again(suite: Suite) -> tuple[BaseCommit, CountedRunner]:
    """The base as a later run meets it, with what the first one left."""
    suite.commit.save()
    runner = CountedRunner(suite.runner.project)
    return BaseCommit(runner, suite.base, suite.impact, suite.commit.issue, suite.commit.cache), runner


def test_a_file_too_long_for_a_first_look_is_looked_at_once(suite_of: Callable[..., Suite]) -> None:
    slow = "import time, rates\ntime.sleep(3)\ndef test_zero(): assert rates.rate(0) == 0\n"
    suite = suite_of({**RATES, "test_rates.py": slow})
    suite.commit.issue = "test_rates.py: `rate` of zero"
    asyncio.run(suite.commit.look(longest_s=1.5))
    assert "test_rates.py" in suite.commit.known.long
    later, runner = again(suite)
    asyncio.run(later.look(longest_s=1.5))
    assert not runner.asked


def test_a_test_that_failed_twice_is_not_asked_a_third_time(suite_of: Callable[..., Suite]) -> None:
    sad = {"test_invoice.py::test_sad"}
    suite = suite_of()
    suite.runner = suite.commit.runner = runner = CountedRunner(suite.runner.project)
    suite.commit.learn(sorted(sad), 30)
    assert asyncio.run(suite.commit.ask_again(sad)) == sad
    assert runner.asked == [tuple(sad)] * 2
    later, runner = again(suite)
    asyncio.run(later.look())
    runner.asked.clear()
    assert asyncio.run(later.ask_again(sad)) == sad
    assert not runner.asked


def test_a_regression_far_from_the_change_by_name(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of()
    assert not suite.commit.small
    check = checked(suite, {"rates.py": ("x * 2", "x * 3")})
    assert check.comparison.broken == {"test_invoice.py::test_total"}
    assert check.comparison.still_failing == {"test_invoice.py::test_sad"}, "it fails on the base too"
    assert suite.baseline.outcomes.keys() == {"test_invoice.py::test_total", "test_invoice.py::test_sad"}
    assert check.evidence.reaching_run == check.evidence.files_reaching == 2
    assert set(check.evidence.files_run[:2]) == {"test_rates.py", "test_invoice.py"}
    assert not check.comparison.new_passing, "what the base has is not new"


def test_when_the_time_is_spent_it_says_what_was_not_run(suite_of: Callable[..., Suite]) -> None:
    check = checked(suite_of(seconds=0.5), {"rates.py": ("x * 2", "x * 3")})
    assert not check.whole
    assert check.evidence.not_run
    assert "run: " in check.summary()


def test_a_test_that_hangs_costs_its_own_limit_and_is_broken(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of()
    suite.runner.limit_s = 1.0
    check = checked(suite, {"rates.py": ("return x * 2", "\n    while x: pass\n    return 0")})
    assert check.comparison.broken == {"test_invoice.py::test_total"}
    assert check.report is not None
    assert "did not end within 1 s" in check.report.results["test_invoice.py::test_total"].message
    assert check.comparison.still_failing == {"test_invoice.py::test_sad"}


def test_tests_that_a_patch_takes_away_or_makes_uncollectable_are_broken(
    suite_of: Callable[..., Suite],
) -> None:
    check = checked(suite_of(), {"test_invoice.py": ("def test_total", "def no_test_total")})
    assert check.comparison.broken == {"test_invoice.py::test_total"}
    check = checked(suite_of(), {"test_rates.py": ("import rates", "import nothing")})
    assert "test_rates.py::test_zero" in check.comparison.broken


def test_its_own_test_alone_verifies_nothing(suite_of: Callable[..., Suite]) -> None:
    suite = suite_of({"alone.py": "X = 1\n", "pytest.ini": "[pytest]\n"})
    with suite.base.fork() as fork:
        fork.write_text("alone.py", "X = 2\n")
        patch = fork.diff()
        fork.write_text("test_own.py", "import alone\ndef test_x(): assert alone.X == 2\n")
        suite.verify = Verify(0.1, 0.1)
        suite.impact = suite.commit.impact = _no_tests(suite)
        check = asyncio.run(suite.check(fork, patch, ["test_own.py::test_x"]))
    assert check.green
    assert check.passed_targets
    assert not check.verified


def _no_tests(suite: Suite) -> Impact:
    assert suite.impact is not None
    impact = Impact(suite.impact.tree)
    impact.__dict__["tests"] = ("test_far_0.py",)
    return impact


def test_what_is_known_of_the_base_is_kept_without_tests_it_does_not_have(
    suite_of: Callable[..., Suite], tmp_path: Path
) -> None:
    suite = suite_of()
    checked(suite, {"rates.py": ("x * 2", "x * 3")})
    suite.commit.learn(["test_rates.py"], 30)
    suite.commit.known.baseline = suite.baseline.__class__(
        {
            **suite.baseline.outcomes,
            "tests/test_gold.py::test_secret": next(iter(suite.baseline.outcomes.values())),
        }
    )
    suite.commit.save()
    assert suite.commit.cache is not None
    again = suite.commit.cache.read()
    assert "test_invoice.py::test_total" in again.baseline.outcomes
    assert "tests/test_gold.py::test_secret" not in again.baseline.outcomes
    assert again.files == {"test_rates.py"}
    next((tmp_path / "cache").glob("*.json")).write_text("{")
    assert not suite.commit.cache.read().files


SHOP = {
    "pytest.ini": "[pytest]\n",
    "shop/__init__.py": "from shop.prices import price\n",
    "shop/prices.py": "TAX = 2\n\n\ndef price(n):\n    if n < 0:\n        raise ValueError(n)\n    return n * 10 + TAX\n",
    "shop/orders.py": "from . import price\n\n\nclass Order:\n    def __init__(self, n):\n        self.n = n\n\n"
    "    def total(self):\n        return price(self.n) - 1 if self.n > 3 else price(self.n)\n",
    "tests/conftest.py": "import pytest\n\n@pytest.fixture\ndef order():\n    from shop.orders import Order\n    return Order(4)\n",
    "tests/test_orders.py": "def test_total(order): assert order.total() == 41\n",
    "tests/test_prices.py": "import pytest, shop\n\ndef test_price(): assert shop.price(1) == 12\n\n"
    "def test_bad():\n    with pytest.raises(ValueError): shop.price(-1)\n",
}
WORDS = {
    "setup.cfg": "[tool:pytest]\n",
    "src/words/__init__.py": "",
    "src/words/split.py": "def split(text, sep=' '):\n    return [w for w in text.split(sep) if w != '']\n",
    "src/words/count.py": "import importlib\n\n\ndef count(text):\n    split = importlib.import_module('words.split').split\n"
    "    return len(split(text)) + 0\n",
    "conftest.py": "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'src'))\n",
    "test_count.py": "from words.count import count\n\ndef test_two(): assert count('a  b') == 2\n\ndef test_none(): assert count('') == 0\n",
    "test_split.py": "from words import split\n\ndef test_sep(): assert split.split('a,b', ',') == ['a', 'b']\n",
}
SWAPS = [
    ("*", "+"), ("+", "-"), ("-", "+"), ("<", "<="), (">", "<"), ("!=", "=="), ("0", "1"), ("1", "2"), ("2", "3"),
    ("return ", "return not "), ("import ", "import no"), ("if ", "if not "), ("(", "(("), ("def ", "def x"), ("x", "y"),
]  # fmt: skip


def mutants(files: Mapping[str, str]) -> list[tuple[str, str]]:
    """(path, damaged text) of what is no test."""
    found = set[tuple[str, str]]()
    for path, text in files.items():
        if path.endswith(".py") and "test" not in path:
            for old, new in SWAPS:
                pieces = text.split(old)
                found |= {
                    (path, old.join(pieces[:at]) + new + old.join(pieces[at:]))
                    for at in range(1, len(pieces))
                }
    return sorted(found)


@pytest.mark.parametrize("files", [RATES, SHOP, WORDS], ids=["rates", "shop", "words"])
def test_the_same_verdict_as_of_the_whole_suite(
    suite_of: Callable[..., Suite], files: Mapping[str, str]
) -> None:
    near, whole = suite_of(files), suite_of(files)
    asyncio.run(whole.measure())

    def verdict(suite: Suite, path: str, text: str) -> Check:
        with suite.base.fork() as fork:
            fork.write_text(path, text)
            return asyncio.run(suite.check(fork, fork.diff(), ()))

    @settings(max_examples=5, deadline=None)
    @given(st.sampled_from(mutants(files)))
    def law(mutant: tuple[str, str]) -> None:
        one, all_ = verdict(near, *mutant), verdict(whole, *mutant)
        assert all_.whole
        assert (one.comparison.broken, one.green) == (all_.comparison.broken, all_.green)

    law()


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 40)).map(lambda x: f"{x[0]}.py::t{x[1]}"),
        unique=True,
    )
)
def test_the_base_is_asked_each_test_once_and_each_file_in_one_run(names: list[str]) -> None:
    parts = questions(names)
    assert sorted(name for part in parts for name in part) == sorted(names)
    files = [{file_of(name) for name in part} for part in parts]
    assert sum(map(len, files)) == len({file_of(name) for name in names})
    assert all(len(part) <= 8 or len(some) == 1 for part, some in zip(parts, files, strict=True))
