"""Templates that take what is missing from the rest of the file, the failing tests and the issue."""

from __future__ import annotations

import ast

import pytest

from swe_agent.agents.offline.engine.chunk import SourceFile
from swe_agent.agents.offline.engine.templates import Context, mutants
from swe_agent.agents.offline.hints import hints

CASES = {
    "progression": ("def f(n):\n    return n in (4, 5{})\n", "", ", 6", "", ()),
    "word of the issue": (
        "def f(n):\n    return n in ('red', 'green'{})\n",
        "",
        ", 'blue'",
        "`blue` is no colour",
        (),
    ),
    "key of a table": (
        "SHORT = {{'Jul': 7, 'Aug': 8, 'August': 8{}}}\n",
        "",
        ", 'July': 7",
        "July cannot be read",
        (),
    ),
    "handler by evidence": (
        "def f(x):\n    try:\n        return x[0]\n    except {}:\n        return None\n",
        "KeyError",
        "(KeyError, IndexError)",
        "",
        ("IndexError",),
    ),
    "argument of a sibling": (
        "class A:\n    def f(self):\n        return B(1, self.size)\n    def g(self):\n        return B(2{})\n",
        "",
        ", self.size",
        "",
        (),
    ),
    "check of a sibling": (
        "def f(x):\n    if x < 0:\n        raise ValueError(x)\n    return x * 2\n\n\ndef g(x):\n{}    y = x + 1\n    return y\n",
        "",
        "    if x < 0:\n        raise ValueError(x)\n",
        "",
        (),
    ),
    "chain": (
        "def f(s):\n    return s.replace({}).replace({})\n",
        ("'b', 'c'", "'a', 'b'"),
        ("'a', 'b'", "'b', 'c'"),
        "",
        (),
    ),
    "wrapped": (
        "def norm(s):\n    return s.strip()\n\n\ndef f(s):\n    return {}[1:]\n",
        "s",
        "norm(s)",
        "",
        (),
    ),
    "renamed": (
        "class A:\n    def __init__(self, one, two):\n        self._one = None if one is None else str(one)\n"
        "        self._two = {}\n",
        "str(two)",
        "None if two is None else str(two)",
        "",
        (),
    ),
    "other branch": (
        "def f(items):\n    odd = 0\n    even = 0\n    for i in items:\n        if i % 2 == 0:\n            even += 1\n"
        "{}    return odd, even\n",
        "",
        "        else:\n            odd += 1\n",
        "",
        (),
    ),
    "clause of a sibling": (
        "def f(x, y, z):\n    return x + y == z or y + z == x{}\n",
        "",
        " or x + z == y",
        "",
        (),
    ),
    "function within": (
        "def f(n):\n    def prime(k):\n        return k > 1\n    if n > 0{}:\n        return 1\n    return 0\n",
        "",
        " and prime(n)",
        "",
        (),
    ),
    "number of the docstring": (
        "def f(n: int):\n    '''Multiples of 7 that are odd.'''\n    if n % 2 != 0{}:\n        return 1\n    return 0\n",
        "",
        " and n % 7 == 0",
        "",
        (),
    ),
    "element of a loop": (
        "def f(row):\n    best = 0\n    for i in range(len(row)):\n        if {} != row[-i]:\n            best += 1\n"
        "    return best\n",
        "best",
        "row[i]",
        "",
        (),
    ),
    "neighbour": (
        "def f(grid, i, j):\n    return grid[i{}][j]\n",
        "",
        " - 1",
        "",
        (),
    ),
    "table of the scope": (
        "def f(words):\n    ranks = {{}}\n    return sorted(words{})\n",
        "",
        ", key=lambda x: ranks[x]",
        "",
        (),
    ),
    "parameter of a lambda": (
        "def f(row):\n    return sorted(row, key=lambda x: {}.bit_length())\n",
        "row",
        "abs(x)",
        "",
        (),
    ),
    "table that is only filled": (
        "def f(row):\n    seen = {{}}\n    for i in row:\n        seen[i] = seen.get(i, 0) + 1\n{}    return len(row)\n",
        "",
        "    if any(n > 1 for n in seen.values()):\n        return len(row)\n",
        "",
        (),
    ),
    "table that nothing is looked up in": (
        "def f(line):\n    units = ['km', 'mi']\n    if not line:\n        return False\n{}    return True\n",
        "",
        "    if line not in units:\n        return False\n",
        "",
        (),
    ),
    "separator": ("def f(line):\n    return line + {}line.upper()\n", "", "'/' + ", "", ()),
    "name in quotes": ("def f(line):\n    return {}\n", "'line'", "line", "", ()),
    "bytes": ("def f(line):\n    return h({})\n", "line", "line.encode()", "", ("TypeError",)),
    "whole of a list": ("def f(row):\n    return {}\n", "row[0]", "max(row)", "", ()),
    "measure of an element": (
        "def f(words):\n    return sorted(words{})\n",
        "",
        ", key=lambda x: (-len(x), x)",
        "",
        (),
    ),
    "copy": ("def f(self):\n    return {}\n", "self.items", "self.items[:]", "", ()),
}


KINDS = {
    "row": ["list[int]"], "i": ["int"], "n": ["int"], "ranks": ["dict[str]"], "seen": ["dict[int]"],
    "units": ["list[str]"], "line": ["str"], "words": ["list[str]"],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_among_the_mutants(case: str) -> None:
    shape, wrong, right, issue, errors = CASES[case]

    def filled(text: str | tuple[str, ...]) -> str:
        return shape.format(*((text,) if isinstance(text, str) else text))

    file = SourceFile("a.py", filled(wrong))
    goal = ast.dump(ast.parse(filled(right)))
    clues = hints(issue, ["a.py"])
    found = []
    for chunk in [*file.chunks, file.whole]:
        for edit in mutants(Context(chunk, KINDS, [], {}, clues, None, file, errors)):
            try:
                found.append(ast.dump(ast.parse(file.with_chunk(chunk, chunk.replace(edit.change)))))
            except SyntaxError:
                continue
    assert goal in found
