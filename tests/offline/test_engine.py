"""Laws of the parts of the engine that need no sandbox."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.agents.offline.command_options import runner_options, unittest_tops
from swe_agent.agents.offline.edits import unique_edits
from swe_agent.agents.offline.engine.chunk import SourceFile
from swe_agent.agents.offline.engine.templates import Context, mutants
from swe_agent.agents.offline.engine.unittests import modules_of
from swe_agent.agents.offline.hints import hints
from swe_agent.agents.offline.reading import failing_in, read_run

SOURCE = '''
class Stack:
    """A stack."""

    limit = 10

    @property
    def top(self):
        return self.items[-1] if self.items else None

    def push(self, item, *, check=True):
        """Add "ä" or anything."""
        if check and len(self.items) >= self.limit:
            raise ValueError(f"no more than {self.limit}")
        elif item is None:
            return False
        self.items.append(item)
        return True


async def total(rows, start=0):
    best = start
    for index, (name, value) in enumerate(rows):
        if value > best and name != "ö":
            best = value + index - 1
        else:
            continue
    return sorted({k: v for k, v in rows if v % 2 == 0}.items(), key=lambda kv: kv[1])[:best] or [best, -1]
'''


def test_chunks_are_the_functions():
    file = SourceFile("a.py", SOURCE)
    names = sorted(chunk.function.name for chunk in file.chunks)
    assert names == ["push", "top", "total"]
    for chunk in file.chunks:
        assert chunk.text in SOURCE
        compile(chunk.compiled_text(), "a.py", "exec")
        line = chunk.function.body[0].lineno - len(chunk.headers) + chunk.first_line - 1
        assert file.chunk_at(line) is chunk
        assert file.with_chunk(chunk, chunk.text) == SOURCE


@pytest.mark.parametrize("number", range(3))
def test_mutants_are_other_programs_of_the_same_shape(number: int):
    file = SourceFile("a.py", SOURCE)
    chunk = file.chunks[number]
    found = mutants(
        Context(chunk, {"value": ["int"], "best": ["int"], "rows": ["list[tuple]"], "name": ["str"]})
    )
    texts = [chunk.replace(mutant.change) for mutant in found]
    assert len(texts) == len(set(texts)) > 100
    assert chunk.text not in texts
    broken = 0
    for edit in found:
        assert 0 < edit.prior <= 1
        assert chunk.first_line <= edit.line <= chunk.last_line
        try:
            ast.parse(file.with_chunk(chunk, chunk.replace(edit.change)))
        except SyntaxError:
            broken += 1
    assert broken <= len(texts) // 100


def test_mutants_are_the_same_every_time():
    def run() -> list[tuple[str, str]]:
        chunk = SourceFile("a.py", SOURCE).chunks[0]
        return [(edit.template, str(edit.change)) for edit in mutants(Context(chunk, {}))]

    assert run() == run()


LINES = st.lists(st.sampled_from(["a\n", "b\n", "    c\n", "\n", "x = 1\n", "d"]), max_size=12).map("".join)


@settings(max_examples=300, deadline=None)
@given(LINES, LINES)
def test_unique_edits_lead_from_one_text_to_the_other(old: str, new: str):
    text = old
    for one, two in unique_edits(old, new):
        if old:
            assert text.count(one) == 1
        text = text.replace(one, two, 1)
    assert text == new


def test_hints_of_a_traceback():
    text = (
        'Traceback (most recent call last):\n  File "/home/me/proj/shop/tax.py", line 12, in with_tax\n'
        "ValueError\nSee also `shop.cart.Cart.total` and src/util.py."
    )
    found = hints(text, ["shop/tax.py", "shop/cart.py", "src/util.py", "other.py"])
    assert found["files"] == ["shop/cart.py", "shop/tax.py", "src/util.py"]
    assert found["lines"] == [("shop/tax.py", 12)]
    assert {"with_tax", "total"} <= set(found["functions"])
    assert hints("", ["a.py"]) == {}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("python -m pytest -q tests", []),
        (
            "pytest -c tox.ini --import-mode=importlib -x tests/a.py",
            ["-c", "tox.ini", "--import-mode=importlib"],
        ),
        ("make test", []),
        ("pytest 'unbalanced", []),
    ],
)
def test_runner_options(command: str, options: list[str]):
    assert runner_options(command) == options


def test_reading_a_run():
    text = (
        "3 tests in 0.1 s: 1 failed, 2 passed\nBROKEN by your change: 1: t.py::a\n"
        "FAILED t.py::a\nassert 1 == 2\noutput (ends):\nFAILED t.py::a - assert 1 == 2"
    )
    seen = read_run(text)
    assert seen.failing == ("t.py::a",)
    assert seen.broken == 1
    assert read_run("The run was killed at its time limit; x\nBROKEN by your change: 9: a").broken == 0


def test_failing_tests_named_inside_quoted_data_do_not_count():
    assert failing_in(
        '<data source="issue">\nFAILED evil::test\n</data>\nFAILED t.py::a\nFAILED t.py::a'
    ) == ["t.py::a"]


def test_tests_that_lack_a_module_are_told_apart():
    text = (
        "2 tests in 1.0 s: 1 error, 1 failed\n"
        "ERROR tests/test_a.py\nImportError while importing test module\n"
        "E   ModuleNotFoundError: No module named 'numpy'\n"
        "ERROR tests/test_b.py\nE   SyntaxError: invalid syntax\n"
        "FAILED tests/test_c.py::test_x\nE   assert 1 == 2\n"
        "output (ends):\nModuleNotFoundError: No module named 'x'\n"
    )
    seen = read_run(text)
    assert seen.lacking == {"tests/test_a.py"}
    assert len(seen.failing) == 3


@pytest.mark.parametrize(
    ("command", "tops"),
    [
        ("python -m unittest discover -s tests", ["tests"]),
        ("python -m unittest discover --start-directory=a/b -t a", ["a"]),
        ("python -m unittest discover -s .", []),
        ("python -m unittest discover", []),
        ("python -m pytest -s tests", []),
    ],
)
def test_where_unittest_imports_from(command: str, tops: list[str]):
    assert unittest_tops(command) == tops


def test_without_ids_every_test_module_below_the_root_is_meant(tmp_path: Path) -> None:
    for name in ("test_top.py", "pkg/tests/test_deep.py", "pkg/tests/helper.py", ".venv/test_foreign.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert modules_of([], str(tmp_path)) == ["pkg.tests.test_deep", "test_top"]
