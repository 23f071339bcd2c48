"""Evidence: what a function's own words, and the issue's, say for or against an edit of it.

Several edits may pass the same tests. A number, a sign or a separator that the docstring speaks of is more likely
right than one that it does not (constraints from documents: Tan et al. 2007, "iComment"); a name that is bound and
never read wants to be used (Xie and Engler 2002); bounds of ranges and slices are off by one more often than anything
else is.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Dict, FrozenSet, Iterator, List, Tuple

from .chunk import Chunk
from .templates.usage import NUMBER, numbers_said, usage

_TOKEN = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|[A-Za-z_]\w*|\d+(?:\.\d+)?|<=|>=|==|!=|<|>|\S")
_SIGNS: Dict[str, str] = {
    "<": r"\b(below|less than|smaller|under|fewer|shorter|lower)\b(?! or equal)",
    ">": r"\b(above|greater|more than|larger|exceeds?|bigger|longer|higher)\b(?! or equal)",
    "<=": r"\b(at most|not (more|greater|larger|higher)|no more than|up to|less than or equal|inclusive)",
    ">=": r"\b(at least|not (less|fewer|smaller|lower)|no less than|greater than or equal)\b",
    "==": r"\b(equals?|exactly|same as)\b",
}
_CHARACTERS: Dict[str, str] = {
    " ": r"\b(spaces?|blanks?)\b", ",": r"\bcommas?\b", "_": r"\bunderscores?\b", "-": r"\b(dash(es)?|hyphens?)\b",
    ".": r"\b(dots?|periods?|points?)\b", "\n": r"\b(newlines?|line breaks?)\b", ":": r"\bcolons?\b",
    "/": r"\bslash(es)?\b",
}  # fmt: skip
_SAID, _SIGN_SAID, _UNREAD, _BOUND, _IDLE = 0.7, 0.5, 1.5, 1.0, 1.5
_PLAIN = ("0", "1", "2")
"""Numbers that texts are full of."""


def evidence(base: Chunk, text: str, issue: str = "") -> float:
    """Logarithm of how much likelier the edit `base` → `text` is than its place in the search says."""
    if base.whole:
        return 0.0
    function = base.function
    doc = ast.get_docstring(function) or ""  # type: ignore[arg-type]
    words = f"{doc}\n{issue}".lower()
    old, new = Counter(_TOKEN.findall(base.text)), Counter(_TOKEN.findall(text))
    added, removed = new - old, old - new
    total = _of_numbers(added, removed, frozenset(numbers_said(doc, NUMBER.findall(issue))), old)
    total += _of_signs(added, removed, words) + _of_characters(added, removed, words)
    try:
        edited = base.with_text(text).function
    except (SyntaxError, IndexError, AttributeError):
        return total
    idle = _idle(edited) > _idle(function)
    return total + _of_unread(function, edited) + _BOUND * _bounded(function, edited) - _IDLE * idle


def _of_numbers(added: Counter[str], removed: Counter[str], said: FrozenSet[str], old: Counter[str]) -> float:
    """Numbers that are said are brought in and stay; others that the function does not know are special cases."""
    new, gone = ({token for token in tokens if token[0].isdigit()} for tokens in (added, removed))
    foreign = [n for n in new if n not in said and n not in old and n not in _PLAIN]
    told = said - {*_PLAIN}
    return _SAID * (bool(new & told) - bool(gone & told) - bool(foreign))


def _of_signs(added: Counter[str], removed: Counter[str], words: str) -> float:
    new, gone = ({sign for sign in _SIGNS if tokens[sign]} for tokens in (added, removed))
    if not new or not gone:
        return 0.0
    said = {sign for sign, pattern in _SIGNS.items() if re.search(pattern, words)}
    return _SIGN_SAID * (bool(new & said) - bool(gone & said))


def _of_characters(added: Counter[str], removed: Counter[str], words: str) -> float:
    """Separators and the like, by their names."""
    said = {sign for sign, pattern in _CHARACTERS.items() if re.search(pattern, words)}
    new, gone = ({text for text in map(_literal, tokens) if text} for tokens in (added, removed))
    return _SAID * (bool(new & said) - bool(gone & said))


def _literal(token: str) -> str:
    return token[1:-1].replace("\\n", "\n") if token[0] in "'\"" else ""


def _of_unread(one: ast.AST, two: ast.AST) -> float:
    """Names that are bound and never read: fewer of them speak for an edit, more of them against it."""
    before, after = (set(usage(function, list(ast.walk(function))).unread) for function in (one, two))
    return _UNREAD * (bool(before - after) - bool(after - before))


def _idle(function: ast.AST) -> int:
    """How many parts do nothing (`x + 0`, `x[0:]`, `x = x`): an edit that makes one takes something back under the
    name of doing it otherwise."""
    return sum(map(_does_nothing, ast.walk(function)))


def _does_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        value = node.value
        if (
            isinstance(value, ast.Subscript)
            and isinstance(value.slice, ast.Slice)
            and not _bounds(value.slice)
        ):
            value = value.value
        target = node.targets[0]
        return len(node.targets) == 1 and isinstance(target, ast.Name) and _named(value) == target.id
    if isinstance(node, ast.Slice):
        return isinstance(node.lower, ast.Constant) and not _bounds(node)
    if not isinstance(node, ast.BinOp):
        return False
    neutral = {ast.Add: 0, ast.Sub: 0, ast.Mult: 1, ast.FloorDiv: 1, ast.Pow: 1}.get(type(node.op))
    sides = (node.left, node.right) if isinstance(node.op, (ast.Add, ast.Mult)) else (node.right,)
    return any(
        isinstance(side, ast.Constant) and type(side.value) is int and side.value == neutral for side in sides
    )


def _bounds(node: ast.Slice) -> bool:
    """Whether it leaves anything out."""
    from_start = node.lower is None or (isinstance(node.lower, ast.Constant) and node.lower.value == 0)
    return not from_start or node.upper is not None or node.step is not None


def _named(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _bounded(one: ast.AST, two: ast.AST) -> bool:
    """Whether the edit moves the bound of a range or a slice by one."""
    pairs = list(path(one, two))
    within = any(isinstance(a, ast.Slice) or _is_range(a) for a, _ in pairs)
    return within and bool(pairs) and _by_one(*pairs[-1])


def _is_range(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"


def _by_one(one: ast.AST, two: ast.AST) -> bool:
    if isinstance(one, ast.Constant) and isinstance(two, ast.Constant):
        ints = type(one.value) is int and type(two.value) is int
        return ints and abs(one.value - two.value) == 1  # type: ignore[operator]
    for long, short in ((one, two), (two, one)):
        if isinstance(long, ast.BinOp) and isinstance(long.op, (ast.Add, ast.Sub)):
            step = isinstance(long.right, ast.Constant) and long.right.value == 1
            if step and ast.dump(long.left) == ast.dump(short):
                return True
    return False


def path(one: ast.AST, two: ast.AST) -> Iterator[Tuple[ast.AST, ast.AST]]:
    """Pairs of nodes from the root down to the smallest that differ, as long as they differ in one child."""
    while True:
        yield one, two
        if type(one) is not type(two):
            return
        ours, theirs = list(ast.iter_child_nodes(one)), list(ast.iter_child_nodes(two))
        if len(ours) != len(theirs):
            return
        different: List[Tuple[ast.AST, ast.AST]] = [
            (a, b) for a, b in zip(ours, theirs) if ast.dump(a) != ast.dump(b)
        ]
        if len(different) != 1:
            return
        one, two = different[0]
