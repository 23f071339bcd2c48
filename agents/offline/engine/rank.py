"""Rank: which of several plausible patches is the answer."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from typing import FrozenSet, List

from .candidate import Candidate
from .chunk import Chunk, SourceFile
from .plan import Numbered

_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?")


def rank(
    found: Sequence[Numbered], files: dict[str, SourceFile], said: FrozenSet[str] = frozenset()
) -> list[Candidate]:
    """The search's own order, but what brings in a name or value that the issue says (`said`) goes first, and the
    faulty function before its callers: what bends an argument of a call stands behind what mends the function that
    is called."""
    plan = [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]
    mended = {_function(candidate.edits[0][0]) for candidate in plan}
    keys = [(bool(_called_around(c) & mended), not (_brought(c) & said)) for c in plan]
    return [plan[at] for at in sorted(range(len(plan)), key=lambda at: (keys[at], at))]


def telling(text: str) -> FrozenSet[str]:
    """Words of an issue that an edit hardly brings in by chance: numbers, names of several parts, exceptions."""
    words = set(_TOKEN.findall(text))
    return frozenset(
        word
        for word in words
        if (word[0].isdigit() and len(word) > 1)
        or "_" in word.strip("_")
        or word.endswith(("Error", "Exception"))
    )


def _brought(candidate: Candidate) -> FrozenSet[str]:
    """Tokens that the edits add."""
    added: List[str] = []
    for base, text in candidate.texts:
        more = Counter(_TOKEN.findall(text))
        more.subtract(_TOKEN.findall(base.text))
        added += [token for token, count in more.items() if count > 0]
    return frozenset(added)


def _function(chunk: Chunk) -> str:
    return "" if chunk.whole else getattr(chunk.function, "name", "")


def _called_around(candidate: Candidate) -> set[str]:
    """Names of the functions in whose arguments the edit lies."""
    base, text = candidate.texts[0]
    if base.whole or len(candidate.edits) > 1:
        return set()
    try:
        one, two = base.function, base.with_text(text).function
    except (SyntaxError, IndexError, AttributeError):
        return set()
    names: set[str] = set()
    while True:
        if isinstance(one, ast.Call) and isinstance(two, ast.Call):
            same = ast.dump(one.func) == ast.dump(two.func)
            names |= {_name(one.func)} if same else set()
        pair = _only_difference(one, two)
        if pair is None:
            return names - {"", _function(base)}
        one, two = pair


def _name(func: ast.AST) -> str:
    return func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")


def _only_difference(one: ast.AST, two: ast.AST) -> tuple[ast.AST, ast.AST] | None:
    """The one pair of children in which two nodes of the same kind differ."""
    if type(one) is not type(two):
        return None
    ours, theirs = list(ast.iter_child_nodes(one)), list(ast.iter_child_nodes(two))
    if len(ours) != len(theirs):
        return None
    different = [(a, b) for a, b in zip(ours, theirs) if ast.dump(a) != ast.dump(b)]
    return different[0] if len(different) == 1 else None
