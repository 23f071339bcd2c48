"""Constants: off-by-one, usual values, other literals of the scope, strings and their letter case.

Literature: GenProg's and PraPR's constant replacement, "change numeric literal" and "change string
literal" of the PySStuBs corpus.
"""

from __future__ import annotations

import ast
import re
import string
import typing
from collections.abc import Iterator
from typing import Tuple

from .context import Context, Edit


def constants(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    for edit in _one(ctx, node):
        yield edit
        if edit is not None:
            yield _everywhere(ctx, node, edit)


def _everywhere(ctx: Context, node: ast.AST, edit: Edit) -> Edit | None:
    """The same change at every occurrence of the constant in the function: systematic edits (Saha et al. 2019)."""
    places = ctx.places.get(ctx.chunk.segment(node), [])
    if not 2 <= len(places) <= 6 or places[0] is not node:
        return None
    start, end = ctx.chunk.span(node)
    after = len(edit.text.encode("utf-8", "surrogateescape")) - len(ctx.chunk.data) + end
    new = edit.text.encode("utf-8", "surrogateescape")[start:after].decode("utf-8", "surrogateescape")
    text = ctx.chunk.replace(*((*ctx.chunk.span(place), new) for place in places))
    return Edit(text, f"{edit.template}, everywhere", 0.35 * edit.prior, edit.line)


def _one(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if not isinstance(node, ast.Constant) or isinstance(node.parent, ast.JoinedStr):  # type: ignore[attr-defined]
        return
    value = node.value
    if isinstance(value, bool):
        yield ctx.edit(node, repr(not value), "boolean constant", 0.8)
        yield ctx.edit(node, "None", "boolean constant", 0.05)
    elif value is None:
        for text in ("True", "False", "0", "[]", "''", "{}"):
            yield ctx.edit(node, text, "none constant", 0.08)
    elif isinstance(value, (int, float)):
        yield from _numbers(ctx, node, value)
    elif isinstance(value, str):
        yield from _strings(ctx, node, value)


def _numbers(ctx: Context, node: ast.Constant, value: float) -> Iterator[Edit | None]:
    seen = set()
    parent = node.parent  # type: ignore[attr-defined]
    equal = isinstance(parent, ast.Compare) and isinstance(parent.ops[0], (ast.Eq, ast.NotEq))
    near = 0.35 if equal else 0.7  # a bound is more often off by one than a value asked for
    options = [(value + 1, near), (value - 1, near), (0, 0.4), (1, 0.4), (2, 0.25), (-1, 0.15), (-value, 0.3)]
    options += [
        (value * 10, 0.12),
        (value * 2, 0.15),
        (value + 2, 0.12),
        (value - 2, 0.12),
        (3, 0.1),
        (10, 0.1),
    ]
    if isinstance(value, int):
        options += [(value // 2, 0.12), (value // 10, 0.1)]
        if value >= 10:
            options += [(value + 10, 0.06), (value - 10, 0.06), (value - value % 10, 0.08)]
    else:
        options += [(value / 10, 0.12), (value / 2, 0.15), (int(value), 0.15), (value + 0.5, 0.1)]
    for text in ctx.numbers:
        try:
            options.append((ast.literal_eval(text), 0.3))
        except (ValueError, SyntaxError):
            continue
    for number in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])", ctx.doc)[:30]:
        options.append((ast.literal_eval(number.lstrip("0") or "0") if number.strip("0") else 0, 0.1))
    for option, prior in options:
        if isinstance(value, int) and isinstance(option, float) and option.is_integer():
            option = int(option)
        if option == value or repr(option) in seen or abs(option) > 1e9:
            continue
        seen.add(repr(option))
        yield ctx.edit(node, repr(option), "numeric constant", prior)
    for name in ctx.same_kind("int")[:6]:
        yield ctx.edit(node, name, "constant to name", 0.12)
        yield ctx.edit(node, f"len({name})", "constant to name", 0.03)
    for name in ctx.same_kind("list")[:4] + ctx.same_kind("str")[:4]:
        yield ctx.edit(node, f"len({name})", "constant to name", 0.04)
        yield ctx.edit(node, f"{name}[0]", "constant to name", 0.05)
    if isinstance(value, int):
        yield ctx.edit(node, "None", "numeric constant", 0.04)
        yield ctx.edit(node, "float('inf')", "numeric constant", 0.04)
        yield ctx.edit(node, "float('-inf')", "numeric constant", 0.04)
        yield ctx.edit(node, repr(str(value)), "constant type", 0.06)
    else:
        yield ctx.edit(node, "float('inf')", "numeric constant", 0.1)


def _strings(ctx: Context, node: ast.Constant, value: str) -> Iterator[Edit | None]:
    options = [("", 0.25), (" ", 0.25), (", ", 0.05), ("\n", 0.05), ("_", 0.05), (",", 0.06), ("-", 0.03)]
    options += [*_changed(value), *_elsewhere(ctx, value), *_letters(value)]
    for hint, count in list(ctx.hints.items())[:40]:
        options.append((hint, 0.03 + 0.01 * min(count, 3)))
    seen = {value}
    for option, prior in options:
        if option not in seen:
            seen.add(option)
            yield ctx.edit(node, repr(option), "string constant", prior)
    for name in ctx.same_kind("str")[:6]:
        yield ctx.edit(node, name, "constant to name", 0.12)
    if value == "":
        yield ctx.edit(node, "None", "string constant", 0.05)


_Options = typing.Iterator[Tuple[str, float]]  # noqa: UP006 (Python 3.8 has no other)


def _changed(value: str) -> _Options:
    """The string in other letters, longer or shorter."""
    yield from (
        (value.upper(), 0.3),
        (value.lower(), 0.3),
        (value.capitalize(), 0.15),
        (value.swapcase(), 0.1),
    )
    yield from ((value.strip(), 0.2), (value + " ", 0.1), (" " + value, 0.1), (value[::-1], 0.08))
    yield from ((value + value.upper(), 0.1), (value + value.lower(), 0.1))
    if len(value) > 1:
        yield from ((value[:-1], 0.2), (value[1:], 0.2))
        if len(value) <= 16:
            yield from ((value[:i] + value[i + 1 :], 0.1) for i in range(1, len(value) - 1))


def _elsewhere(ctx: Context, value: str) -> _Options:
    """Strings of the function and of its docstring."""
    for text in ctx.strings:
        try:
            other = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(other, str):
            yield other, 0.35
            if other and value and len(value) + len(other) < 20:
                yield value + other, 0.04
    for one, two in re.findall(r"'([^'\n]{0,20})'|\"([^\"\n]{0,20})\"", ctx.doc)[:30]:
        yield one or two, 0.15


def _letters(value: str) -> _Options:
    """Another sign; a set of characters written as a string may lack one of its kind."""
    if len(value) == 1:
        yield from ((other, 0.02) for other in "()[]{}<>+-*/0123456789")
        yield from ((letter, 0.015) for letter in "aeiouxyz")
    elif 2 < len(value) <= 30 and value.isalnum():
        known = string.ascii_lowercase + string.digits
        more = set(known.upper() if value.isupper() else known) - set(value)
        yield from ((value + letter, 0.02) for letter in sorted(more))
