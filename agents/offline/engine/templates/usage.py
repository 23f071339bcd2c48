"""Usage: which names a function binds and never reads, and which numbers it is described with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import List, NamedTuple, Tuple

NUMBER = re.compile(r"(?<![\w.-])\d+(?!\w|\.\d)")
_EXAMPLE = re.compile(r"\s*(>>>|\.\.\.|[\[({\d'\"])|.*(=>|==|->|➞)")


_FILLING = ("append", "add", "extend", "insert", "update", "setdefault")


class NameUsage(NamedTuple):
    unread: Tuple[str, ...]
    """Bound and never read; a table that is only filled counts as never read."""
    unchanged: Tuple[str, ...]
    """Local names that are bound to a constant once and never changed."""
    asking: Tuple[str, ...]
    """Functions within the function that take one value."""


def usage(root: ast.AST, nodes: Sequence[ast.AST]) -> NameUsage:
    """What becomes of the names of the function `root`, whose nodes are `nodes`."""
    inner = [n for n in nodes if isinstance(n, ast.FunctionDef) and n is not root]
    names = [n for n in nodes if isinstance(n, ast.Name)]
    read = {n.id for n in names if isinstance(n.ctx, ast.Load) and not _filled(n)}
    stored = [n.id for n in names if isinstance(n.ctx, ast.Store)]
    parameters = [n.arg for n in nodes if isinstance(n, ast.arg) and n.arg not in ("self", "cls")]
    unread = {*stored, *parameters, *(n.name for n in inner)} - read
    constant = [
        n.targets[0].id
        for n in nodes
        if isinstance(n, ast.Assign)
        and isinstance(n.targets[0], ast.Name)
        and isinstance(n.value, ast.Constant)
    ]
    return NameUsage(
        tuple(sorted(name for name in unread if not name.startswith("_"))),
        tuple(sorted(name for name in constant if stored.count(name) == 1 and name.islower())),
        tuple(n.name for n in inner if len(n.args.args) == 1)[:3],
    )


def _filled(name: ast.Name) -> bool:
    """Whether the name stands in a statement that does nothing but fill the table of this name."""
    statement: ast.AST = name
    while not isinstance(statement, ast.stmt):
        statement = statement.parent  # type: ignore[attr-defined]
    if isinstance(statement, (ast.Assign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        owners = [target.value for target in targets if isinstance(target, ast.Subscript)]
        return len(owners) == len(targets) and all(_is(owner, name.id) for owner in owners)
    call = getattr(statement, "value", None)
    function = call.func if isinstance(call, ast.Call) else None
    if not isinstance(statement, ast.Expr) or not isinstance(function, ast.Attribute):
        return False
    return function.attr in _FILLING and _is(function.value, name.id)


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def numbers_said(doc: str, said: Iterable[str] = ()) -> List[str]:
    """Numbers of the docstring's sentences (not of its examples), and those that the issue says."""
    prose = [line for line in doc.splitlines() if not _EXAMPLE.match(line)]
    return list(dict.fromkeys([*NUMBER.findall(" ".join(prose)), *said]))[:12]
