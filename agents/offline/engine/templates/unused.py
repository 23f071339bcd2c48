"""Unused: what a function prepares and never uses: a parameter of a lambda, a table that nothing is looked up in.

Literature: redundant code points at faults (Xie and Engler 2002); missing checks are a common kind of bug (Sobreira
et al. 2018).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .context import Context, Edit, base, elements
from .insertions import Place, place_of

_FORMS = (
    "{}", "len({})", "str({})", "abs({})", "bin({})", "set({})", "int({})", "sum({})", "{}[0]", "{}[1]", "{}.lower()",
)  # fmt: skip
_OUTER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.For, ast.While, ast.With)
"""A check is seldom missing in the middle of a decision."""
_MOST_VALUES = 3
_MOST_ITEMS = 8


def unused(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if ctx.chunk.whole:
        return
    if isinstance(node, ast.Lambda):
        yield from _parameter(ctx, node)
    elif isinstance(node, ast.stmt) and ctx.usage.unread:
        place = place_of(ctx, node)
        if place is not None and isinstance(node.parent, _OUTER):  # type: ignore[attr-defined]
            yield from _checks(ctx, place)


def _parameter(ctx: Context, node: ast.Lambda) -> Iterator[Edit | None]:
    """A parameter that the lambda never reads, or something made of it, where another name stands."""
    names = [inner for inner in ast.walk(node.body) if isinstance(inner, ast.Name)]
    read = {name.id for name in names}
    for argument in node.args.args:
        if argument.arg in read:
            continue
        for rank, form in enumerate(_FORMS):
            for name in names:
                yield ctx.edit(name, form.format(argument.arg), "unread parameter", 0.5 / (1 + 0.2 * rank))
            yield ctx.edit(node.body, form.format(argument.arg), "unread parameter", 0.2 / (1 + 0.2 * rank))


def _checks(ctx: Context, place: Place) -> Iterator[Edit]:
    """`if x not in table: return v` and `if any(n > 2 for n in table.values()): return v`."""
    returned = [n.value for n in ctx.nodes if isinstance(n, ast.Return) and n.value is not None]
    values = list(dict.fromkeys(ctx.text_at(value) for value in returned))
    values = [value for value in values if len(value) < 40 and "\n" not in value][:_MOST_VALUES]
    line = ctx.chunk.line(place.node)
    for table in ctx.usage.unread:
        if ctx.bound.get(table, line) >= line:
            continue
        for condition, prior in _conditions(ctx, table):
            for rank, value in enumerate(values):
                text = f"if {condition}:\n{place.indent}    return {value}"
                yield from place.put(text, "unread table", prior / (1 + 0.1 * rank))


def _conditions(ctx: Context, table: str) -> Iterator[tuple[str, float]]:
    kind = next((k for k in ctx.types.get(table, []) if k != "NoneType"), None)
    if base(kind) not in ("list", "tuple", "set", "dict", "frozenset"):
        return
    for rank, item in enumerate(_items(ctx, table, elements(kind))):
        yield f"{item} not in {table}", 0.12 / (1 + 0.1 * rank)
        yield f"{item} in {table}", 0.08 / (1 + 0.1 * rank)
    if base(kind) != "dict" and elements(kind) not in ("int", "float"):
        return
    inside = f"{table}.values()" if base(kind) == "dict" else table
    for number in dict.fromkeys(("0", "1", "2", *ctx.said_numbers[:3])):
        for sign in (">", "==", "<"):
            yield f"any(n {sign} {number} for n in {inside})", 0.06


def _items(ctx: Context, table: str, kind: str | None) -> list[str]:
    """Expressions of this scope that may be an element of the table."""
    found = [name for name in ctx.same_kind(kind) if name != table and name in ctx.types]
    found += [text for text, (other, _, _) in ctx.pool.items() if other == kind and not text.isidentifier()]
    for name in ctx.locals[:8]:
        if name != table and kind is not None and any(elements(k) == kind for k in ctx.types.get(name, [])):
            found += [f"{name}[{index}]" for index in ("0", "1", "-1")]
    return [text for text in dict.fromkeys(found) if len(text) < 30][:_MOST_ITEMS]
