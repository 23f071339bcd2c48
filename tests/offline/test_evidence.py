"""Which of two edits that pass the same tests is the likelier one."""

from __future__ import annotations

import pytest

from swe_agent.agents.offline.engine.candidate import Candidate
from swe_agent.agents.offline.engine.chunk import SourceFile
from swe_agent.agents.offline.engine.evidence import evidence
from swe_agent.agents.offline.engine.rank import rank

BETTER = {
    "a number that is said": ("'''Days end at 31.'''\n    return d > {}", "12", "31", "29"),
    "a number that is said stays": ("'''Days end at 31.'''\n    return {}", "d > 31 and m", "d > 31 or m", "d > 28 and m"),
    "a sign that is said": ("'''Whether d is below zero.'''\n    return d {} 0", "==", "<", ">"),
    "a separator that is said": ("'''Joined by dashes.'''\n    return {}.join(d)", "''", "'-'", "'+'"),
    "a name that is never read": ("low = d - 5\n    return {}", "d > 0", "d > low", "d > 9"),
    "a name that would be read no more": ("return [{} for i in range(d)]", "i", "i + m", "d + m"),
    "the bound of a range": ("return [i for i in range({}) if i < m]", "d", "d + 1", "d + m"),
    "the bound of a slice": ("return m[:{}]", "d - 1", "d", "d - m"),
    "a slice that leaves something out": ("m = m[{}:]\n    return m", "1", "2", "0"),
    "not by adding nothing": ("return {}", "1 + d", "d", "0 + d"),
    "not by assigning a name to itself": ("m = {}\n    return m", "m[1:]", "m[2:]", "m"),
    "no special case": ("return d + {}", "1", "2", "47"),
}  # fmt: skip


def _chunk(text: str):
    return SourceFile("a.py", f"def f(d, m):\n    {text}\n").chunks[0]


@pytest.mark.parametrize("case", BETTER)
def test_the_better_edit(case: str) -> None:
    shape, wrong, better, worse = BETTER[case]
    base = _chunk(shape.format(wrong))
    good, bad = (_chunk(shape.format(text)) for text in (better, worse))
    assert evidence(base, good.text) > evidence(base, bad.text)
    file = SourceFile("a.py", base.text)
    pair = [
        (n, Candidate(((base, base.changed(c.text)),), ("t",), 0.5, 2)) for n, c in enumerate((bad, good))
    ]
    assert rank(pair, {"a.py": file})[0] == pair[1][1]


def test_the_issue_speaks_too() -> None:
    base, new = _chunk("return d > 12"), _chunk("return d > 27")
    assert evidence(base, new.text, "27 should be allowed") > evidence(base, new.text)


def test_fewer_edits_come_first() -> None:
    base, new = _chunk("return d > 12"), _chunk("return d >= 12")
    changed = base.changed(new.text)
    one = Candidate(((base, changed),), ("a",), 0.1, 2)
    two = Candidate(((base, changed),), ("a", "b"), 0.9, 2)
    assert rank([(1, two), (2, one)], {"a.py": SourceFile("a.py", base.text)}) == [one, two]
