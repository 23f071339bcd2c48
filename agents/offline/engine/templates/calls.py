"""Calls: function families, arguments swapped, dropped, added or replaced, calls unwrapped.

Literature: "wrong function name", "same function more/fewer args", "swap arguments" of the SStuBs corpora;
method replacers of PAR and TBar.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        # a family member used as a value: map(str.upper), key=len
        for other in _RELATIVES.get(node.id, ()) if node.id not in ctx.bound else ():
            if ctx.is_builtin(other):
                yield ctx.edit(node, other, "function family", 0.5 / (1 + 0.1 * len(_RELATIVES[node.id])))
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
    if isinstance(node.func, ast.Attribute):
        whole = ctx.text_at(node.func.value, 16)
        start, end = ctx.chunk.span(node.func)
        family = _RELATIVES.get(name or "", [])
        for rank, other in enumerate(family):
            yield ctx.raw(start, end, f"{whole}.{other}", node, "function family", 0.6 / (1 + 0.3 * rank))
        yield ctx.edit(node, ctx.text_at(node.func.value), "unwrap call", 0.45)
    elif isinstance(node.func, ast.Name):
        start, end = ctx.chunk.span(node.func)
        for rank, other in enumerate(o for o in ctx.module_names if o != name):
            if rank < 12:
                close = len(set(other.lower().split("_")) & set((name or "").lower().split("_"))) > 0
                yield ctx.raw(start, end, other, node, "module function", 0.25 if close else 0.1)
        if name in ctx.bound:
            for other in ctx.locals:
                if other != name:
                    yield ctx.raw(start, end, other, node, "name swap, other type", 0.1)
    yield from _arguments(ctx, node, name)


def _arguments(ctx: Context, node: ast.Call, name: str | None) -> Iterator[Edit | None]:
    func = ctx.chunk.segment(node.func)
    args = [ctx.text_at(a) for a in node.args]
    keywords = [ctx.text_at(k) if hasattr(k, "lineno") else None for k in node.keywords]
    if any(k is None for k in keywords):  # keyword nodes have no position before Python 3.9
        keywords = [(f"{k.arg}=" if k.arg else "**") + ctx.text_at(k.value) for k in node.keywords]
    tail = [k for k in keywords if k]

    def built(items: list[str], rest: list[str] | None = None) -> str:
        return f"{func}({', '.join(items + (tail if rest is None else rest))})"

    lonely = len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp)
    if lonely:
        args[0] = args[0].strip()
    for index, arg in enumerate(node.args):
        if not isinstance(arg, (ast.Starred, ast.GeneratorExp)) and not isinstance(node.parent, ast.Expr):  # type: ignore[attr-defined]
            yield ctx.edit(node, args[index], "unwrap call", 0.45 if len(args) == 1 else 0.2)
    for i in range(len(args)):
        for j in range(i + 1, len(args)):
            swapped = list(args)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            yield ctx.edit(node, built(swapped), "argument swap", 0.5 if j == i + 1 else 0.2)
    if len(args) + len(tail) > 1 or (args and isinstance(node.func, ast.Attribute)):
        for i in range(len(args)):
            yield ctx.edit(node, built(args[:i] + args[i + 1 :]), "argument drop", 0.3)
    for i in range(len(tail)):
        yield ctx.edit(node, built(args, tail[:i] + tail[i + 1 :]), "argument drop", 0.3)
    if lonely:
        return
    if name == "range":
        if len(args) == 1:
            for text, prior in (("1", 0.5), ("2", 0.2), ("0", 0.01), ("-1", 0.02)):
                yield ctx.edit(node, built([text, args[0]]), "range bound", prior)
            yield ctx.edit(node, f"range(1, {ctx.text_at(node.args[0], 11)} + 1)", "range bound", 0.4)
            yield ctx.edit(node, f"range({ctx.text_at(node.args[0], 11)} - 1, -1, -1)", "range bound", 0.15)
            yield ctx.edit(node, f"range(0, {args[0]}, 2)", "range bound", 0.06)
            for local in ctx.same_kind("int")[:6]:
                yield ctx.edit(node, built([local, args[0]]), "range bound", 0.2)
                yield ctx.edit(node, built([f"{local} + 1", args[0]]), "range bound", 0.2)
        elif len(args) == 2:
            for text, prior in (("2", 0.1), ("-1", 0.15), ("1", 0.0), ("3", 0.03)):
                if prior:
                    yield ctx.edit(node, built([*args, text]), "range bound", prior)
            for local in ctx.same_kind("int")[:6]:
                yield ctx.edit(node, built([*args, local]), "range bound", 0.06)
    if name in ("sorted", "sort", "max", "min") and not any("key" in k for k in tail):
        keys = [
            "len",
            "str",
            "abs",
            "lambda x: x[0]",
            "lambda x: x[1]",
            "lambda x: -x",
            "lambda x: (len(x), x)",
            "str.lower",
        ]
        keys += ["sum", "set", "int"]
        for key in keys:
            yield ctx.edit(node, built(args, [*tail, f"key={key}"]), "key argument", 0.12)
        for inner in ctx.nodes:
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and inner is not ctx.root:
                yield ctx.edit(node, built(args, [*tail, f"key={inner.name}"]), "key argument", 0.1)
        if name in ("max", "min"):
            yield ctx.edit(node, built(args, [*tail, "default=0"]), "default argument", 0.06)
            yield ctx.edit(node, built(args, [*tail, "default=None"]), "default argument", 0.06)
    if name in ("sorted", "sort"):
        if not any("reverse" in k for k in tail):
            yield ctx.edit(node, built(args, [*tail, "reverse=True"]), "key argument", 0.35)
        for i, k in enumerate(tail):
            if k.startswith("reverse=") and k not in ("reverse=True", "reverse=False"):
                yield ctx.edit(
                    node,
                    built(args, [*tail[:i], "reverse=not " + k[8:], *tail[i + 1 :]]),
                    "key argument",
                    0.3,
                )
    if name in ("split", "strip", "lstrip", "rstrip", "join", "count", "replace") and isinstance(
        node.func, ast.Attribute
    ):
        for text in [*ctx.strings, "' '", "', '", "','"][:8]:
            if not args:
                yield ctx.edit(node, built([text]), "argument add", 0.12)
    if name in ("get", "pop", "getattr", "next", "dict.get") and len(args) == (2 if name == "getattr" else 1):
        for text in ("None", "0", "''", "[]"):
            yield ctx.edit(node, built([*args, text]), "default argument", 0.12)
    if name in ("round", "int") and len(args) == 1:
        for text in ("2", "1") if name == "round" else ("2", "10", "16"):
            yield ctx.edit(node, built([*args, text]), "argument add", 0.06)
    if name in ("sum", "enumerate") and len(args) == 1:
        yield ctx.edit(node, built([*args, "1"]), "argument add", 0.12)
    if name == "replace" and len(args) == 2:
        yield ctx.edit(node, built([*args, "1"]), "argument add", 0.1)
    if name == "zip" and len(args) >= 1:
        for local in ctx.same_kind("list")[:5]:
            yield ctx.edit(node, built([*args, local]), "argument add", 0.05)
    extra = 0.1 if name in ctx.module_names or name == getattr(ctx.root, "name", "") else 0.02
    for local in ctx.locals[:8]:
        if local not in args:
            yield ctx.edit(node, built([*args, local]), "argument add", extra)
            if args:
                yield ctx.edit(node, built([local, *args]), "argument add", extra * 0.7)
            parameter = f"{local}={local}"
            if parameter not in tail and extra > 0.05:
                yield ctx.edit(node, built(args, [*tail, parameter]), "argument add", extra)
