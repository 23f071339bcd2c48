"""Calls: function families, arguments swapped, dropped, added or replaced, calls unwrapped.

Literature: "wrong function name", "same function more/fewer args", "swap arguments" of the SStuBs corpora;
method replacers of PAR and TBar.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .arguments import arguments
from .context import Context, Edit

_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("any", "all"),
    ("min", "max", "sum", "len", "sorted", "abs"),
    ("strip", "lstrip", "rstrip", "removeprefix", "removesuffix"),
    ("startswith", "endswith"),
    ("append", "extend", "add", "remove", "appendleft"),
    ("append", "insert", "update"),
    ("pop", "popleft", "remove", "discard"),
    ("upper", "lower", "swapcase", "title", "capitalize", "casefold"),
    ("isupper", "islower", "isalpha", "isdigit", "isalnum", "isspace", "isnumeric", "isdecimal", "istitle"),
    ("upper", "lower", "isupper", "islower"),
    ("find", "rfind", "index", "rindex", "count"),
    ("split", "rsplit", "splitlines", "partition", "rpartition"),
    ("list", "tuple", "set", "frozenset", "sorted", "reversed", "dict"),
    ("int", "float", "str", "bool", "round"),
    ("ord", "chr"),
    ("range", "enumerate", "reversed", "zip"),
    ("floor", "ceil", "round", "trunc", "int"),
    ("bin", "oct", "hex", "str"),
    ("keys", "values", "items"),
    ("get", "pop", "setdefault"),
    ("union", "intersection", "difference", "symmetric_difference", "update"),
    ("issubset", "issuperset", "isdisjoint"),
    ("ljust", "rjust", "center", "zfill"),
    ("isinstance", "issubclass"),
    ("hasattr", "getattr"),
    ("encode", "decode"),
    ("sin", "cos", "tan"),
    ("exp", "log", "log2", "log10", "sqrt"),
    ("bisect", "bisect_left", "bisect_right"),
    ("heappush", "heappop", "heapify"),
    ("sub", "findall", "match", "search", "fullmatch"),
    ("join", "dirname", "basename", "abspath", "realpath"),
    ("exists", "isfile", "isdir"),
    ("permutations", "combinations", "product", "combinations_with_replacement"),
    ("sort", "reverse"),
)  # fmt: skip


def _relatives() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for family in _FAMILIES:
        for one in family:
            known = table.setdefault(one, [])
            known.extend(other for other in family if other != one and other not in known)
    return table


_RELATIVES = _relatives()


def calls(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in ctx.bound:
        # a family member used as a value: map(str.upper), key=len
        family = _RELATIVES.get(node.id, [])
        for other in filter(ctx.is_builtin, family):
            yield ctx.edit(node, other, "function family", 0.5 / (1 + 0.1 * len(family)))
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
    if isinstance(node.func, ast.Attribute):
        yield from _method(ctx, node, node.func)
    elif isinstance(node.func, ast.Name):
        yield from _function(ctx, node, node.func.id)
    yield from arguments(ctx, node, name)


def _method(ctx: Context, node: ast.Call, func: ast.Attribute) -> Iterator[Edit | None]:
    whole = ctx.text_at(func.value, 16)
    for rank, other in enumerate(_RELATIVES.get(func.attr, [])):
        prior = 0.6 / (1 + 0.3 * rank)
        yield ctx.raw(*ctx.chunk.span(func), f"{whole}.{other}", node, "function family", prior)
    if not isinstance(node.parent, ast.Expr):  # type: ignore[attr-defined]
        yield ctx.edit(node, ctx.text_at(func.value), "unwrap call", 0.45)
    yield _chain(ctx, node, func)


def _function(ctx: Context, node: ast.Call, name: str) -> Iterator[Edit | None]:
    span = ctx.chunk.span(node.func)
    words = set(name.lower().split("_"))
    for other in [other for other in ctx.module_names if other != name][:12]:
        close = words & set(other.lower().split("_"))
        yield ctx.raw(*span, other, node, "module function", 0.25 if close else 0.1)
    for other in ctx.locals if name in ctx.bound else ():
        if other != name:
            yield ctx.raw(*span, other, node, "name swap, other type", 0.1)


def _chain(ctx: Context, node: ast.Call, func: ast.Attribute) -> Edit | None:
    """`a.f(x).g(y)` → `a.g(y).f(x)`"""
    inner = func.value
    if not (isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute)):
        return None
    first, second = (ctx.chunk.data[ctx.chunk.span(a.value)[1] : ctx.chunk.span(b)[1]].decode("utf-8", "surrogateescape")
                     for a, b in ((inner.func, inner), (func, node)))  # fmt: skip
    return ctx.edit(node, f"{ctx.text_at(inner.func.value, 16)}{second}{first}", "call order", 0.4)
