"""Rank: which of several plausible patches is the answer."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import FrozenSet, List

from .candidate import Candidate
from .chunk import Chunk, SourceFile
from .evidence import evidence, path
from .plan import Numbered

_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?")


def rank(
    found: Sequence[Numbered],
    files: dict[str, SourceFile],
    said: FrozenSet[str] = frozenset(),
    issue: str = "",
) -> list[Candidate]:
    """What brings in a name or value that the issue says (`said`) goes first, and the faulty function before its
    callers: what bends an argument of a call stands behind what mends the function that is called. Then fewer edits
    before more, and of those the likelier: by its place in the search and by `evidence`."""
    plan = [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]
    mended = {_function(candidate.edits[0][0]) for candidate in plan}
    keys = [
        (bool(_called_around(c) & mended), not (_brought(c) & said), len(c.templates), -_likelihood(c, issue))
        for c in plan
    ]
    return [plan[at] for at in sorted(range(len(plan)), key=lambda at: (keys[at], at))]


def _likelihood(candidate: Candidate, issue: str) -> float:
    """Logarithm, without a meaning between candidates of unequal numbers of edits."""
    return math.log(max(candidate.score, 1e-9)) + sum(evidence(*pair, issue) for pair in candidate.texts)


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
    for ours, theirs in path(one, two):
        if isinstance(ours, ast.Call) and isinstance(theirs, ast.Call):
            same = ast.dump(ours.func) == ast.dump(theirs.func)
            names |= {_name(ours.func)} if same else set()
    return names - {"", _function(base)}


def _name(func: ast.AST) -> str:
    return func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")
