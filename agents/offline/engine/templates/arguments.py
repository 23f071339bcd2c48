"""Arguments: swapped, dropped, added; bounds of ranges, keys of sorting, keywords that a callee knows.

Literature: "same function more/fewer args", "swap arguments" of the SStuBs corpora; argument replacers of TBar.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import List, Optional

from .context import Context, Edit, base, elements
from .signatures import flags_of

_KEYS = (
    "len", "str", "abs", "lambda x: x[0]", "lambda x: x[1]", "lambda x: -x", "lambda x: (len(x), x)", "str.lower",
    "sum", "set", "int",
)  # fmt: skip
_MEASURES = {
    "str": ("len(x)", "-len(x)", "len(set(x))", "-len(set(x))", "x.lower()", "x[-1]", "x[::-1]"),
    "int": ("abs(x)", "-abs(x)", "str(x)", "sum(map(int, str(abs(x))))", "bin(x).count('1')"),
    "list": ("len(x)", "-len(x)", "x[0]", "x[-1]", "-x[-1]", "sum(x)", "max(x)"),
    "tuple": ("x[0]", "x[-1]", "-x[0]", "-x[-1]", "sum(x)"),
}
"""What elements of a kind are put in order by."""
_MORE = {
    "round": (("2", 0.06), ("1", 0.06)), "int": (("2", 0.06), ("10", 0.06), ("16", 0.06)),
    "sum": (("1", 0.12),), "enumerate": (("1", 0.12),),
}  # fmt: skip
"""Second arguments that a function of one may lack."""


class _Call:
    """A call, cut into the texts of its parts."""

    def __init__(self, ctx: Context, node: ast.Call, name: str | None) -> None:
        self.ctx = ctx
        self.node = node
        self.name = name or ""
        self.func = ctx.chunk.segment(node.func)
        self.args = [ctx.text_at(a) for a in node.args]
        keywords = [ctx.text_at(k) if hasattr(k, "lineno") else None for k in node.keywords]
        if any(k is None for k in keywords):  # keyword nodes have no position before Python 3.9
            keywords = [(f"{k.arg}=" if k.arg else "**") + ctx.text_at(k.value) for k in node.keywords]
        self.tail = [k for k in keywords if k]
        self.lonely = len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp)
        if self.lonely:
            self.args[0] = self.args[0].strip()

    def with_(
        self, args: List[str], template: str, prior: float, tail: Optional[List[str]] = None
    ) -> Edit | None:
        items = ", ".join(args + (self.tail if tail is None else tail))
        return self.ctx.edit(self.node, f"{self.func}({items})", template, prior)

    def keyword(self, text: str, template: str, prior: float) -> Edit | None:
        return self.with_(self.args, template, prior, [*self.tail, text])


def arguments(ctx: Context, node: ast.Call, name: str | None) -> Iterator[Edit | None]:
    call = _Call(ctx, node, name)
    yield from _order(call)
    if call.lonely:
        return
    if name == "range":
        yield from _range(call)
    if name in ("sorted", "sort", "max", "min"):
        yield from _key(call)
    if name in ("max", "min"):
        yield from _pair(call)
    if name in ("sorted", "sort"):
        yield from _reverse(call)
    yield from _known(call)
    yield from _flags(call)
    yield from _locals(call)


def _order(call: _Call) -> Iterator[Edit | None]:
    args, tail, node = call.args, call.tail, call.node
    for index, arg in enumerate(node.args):
        if not isinstance(arg, (ast.Starred, ast.GeneratorExp)) and not isinstance(node.parent, ast.Expr):  # type: ignore[attr-defined]
            yield call.ctx.edit(node, args[index], "unwrap call", 0.45 if len(args) == 1 else 0.2)
    for i in range(len(args)):
        for j in range(i + 1, len(args)):
            swapped = list(args)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            yield call.with_(swapped, "argument swap", 0.5 if j == i + 1 else 0.2)
    if len(args) + len(tail) > 1 or (args and isinstance(node.func, ast.Attribute)):
        for i in range(len(args)):
            yield call.with_(args[:i] + args[i + 1 :], "argument drop", 0.3)
    for i in range(len(tail)):
        yield call.with_(args, "argument drop", 0.3, tail[:i] + tail[i + 1 :])


def _range(call: _Call) -> Iterator[Edit | None]:
    args, ctx = call.args, call.ctx
    if len(args) == 1:
        for text, prior in (("1", 0.5), ("2", 0.2), ("0", 0.01), ("-1", 0.02)):
            yield call.with_([text, args[0]], "range bound", prior)
        end = ctx.text_at(call.node.args[0], 11)
        yield ctx.edit(call.node, f"range(1, {end} + 1)", "range bound", 0.4)
        yield ctx.edit(call.node, f"range({end} - 1, -1, -1)", "range bound", 0.15)
        yield ctx.edit(call.node, f"range(0, {args[0]}, 2)", "range bound", 0.06)
        for local in ctx.same_kind("int")[:6]:
            yield call.with_([local, args[0]], "range bound", 0.2)
            yield call.with_([f"{local} + 1", args[0]], "range bound", 0.2)
    elif len(args) == 2:
        for text, prior in (("2", 0.1), ("-1", 0.15), ("3", 0.03)):
            yield call.with_([*args, text], "range bound", prior)
        for local in ctx.same_kind("int")[:6]:
            yield call.with_([*args, local], "range bound", 0.06)


def keys_by_table(ctx: Context) -> Iterator[str]:
    """Keys of sorting that look a value up in a table of the scope."""
    for name in ctx.locals:
        if any(kind.startswith("dict") for kind in ctx.types.get(name, [])):
            yield f"lambda x: {name}[x]"


def _key(call: _Call) -> Iterator[Edit | None]:
    if any("key" in k for k in call.tail):
        return
    for key in _KEYS:
        yield call.keyword(f"key={key}", "key argument", 0.12)
    inside = base(elements(call.ctx.kind(call.node.args[0]))) if call.node.args else None
    for rank, measure in enumerate(_MEASURES.get(inside or "", ())):
        for key in (measure, f"({measure}, x)"):
            yield call.keyword(f"key=lambda x: {key}", "key argument", 0.1 / (1 + 0.1 * rank))
    for key in keys_by_table(call.ctx):
        yield call.keyword(f"key={key}", "key argument", 0.12)
    for inner in call.ctx.nodes:
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and inner is not call.ctx.root:
            yield call.keyword(f"key={inner.name}", "key argument", 0.1)
    if call.name in ("max", "min"):
        yield call.keyword("default=0", "default argument", 0.06)
        yield call.keyword("default=None", "default argument", 0.06)


def _pair(call: _Call) -> Iterator[Edit | None]:
    """The larger of two names, where the largest of one stands."""
    names = call.ctx.same_kind("int")[:6]
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            if [one, two] != call.args:
                yield call.with_([one, two], "argument pair", 0.1)


def _reverse(call: _Call) -> Iterator[Edit | None]:
    tail = call.tail
    if not any("reverse" in k for k in tail):
        yield call.keyword("reverse=True", "key argument", 0.35)
    for i, k in enumerate(tail):
        if k.startswith("reverse=") and k not in ("reverse=True", "reverse=False"):
            turned = [*tail[:i], "reverse=not " + k[8:], *tail[i + 1 :]]
            yield call.with_(call.args, "key argument", 0.3, turned)


def _known(call: _Call) -> Iterator[Edit | None]:
    """Arguments that well-known functions may lack."""
    name, args, ctx = call.name, call.args, call.ctx
    if name in ("split", "strip", "lstrip", "rstrip", "join", "count", "replace") and not args:
        if isinstance(call.node.func, ast.Attribute):
            for text in [*ctx.strings, "' '", "', '", "','"][:8]:
                yield call.with_([text], "argument add", 0.12)
    if name in ("get", "pop", "getattr", "next") and len(args) == (2 if name == "getattr" else 1):
        for text in ("None", "0", "''", "[]"):
            yield call.with_([*args, text], "default argument", 0.12)
    for text, prior in _MORE.get(name, ()) if len(args) == 1 else ():
        yield call.with_([*args, text], "argument add", prior)
    if name == "replace" and len(args) == 2:
        yield call.with_([*args, "1"], "argument add", 0.1)
    if name == "zip" and args:
        for local in ctx.same_kind("list")[:5]:
            yield call.with_([*args, local], "argument add", 0.05)


def _flags(call: _Call) -> Iterator[Edit | None]:
    """Switches of the callee turned over: `popitem()` → `popitem(last=False)`."""
    given = {k.arg for k in call.node.keywords}
    if None in given or any(isinstance(arg, ast.Starred) for arg in call.node.args):
        return
    method = isinstance(call.node.func, ast.Attribute)
    own = call.ctx.file.donors.functions.get(call.name, []) if call.ctx.file is not None else []
    for flag, value in flags_of(call.name, method, len(call.args), own):
        if flag not in given:
            yield call.keyword(f"{flag}={not value}", "switch", 0.3)


def _locals(call: _Call) -> Iterator[Edit | None]:
    ctx, args = call.ctx, call.args
    extra = 0.1 if call.name in ctx.module_names or call.name == getattr(ctx.root, "name", "") else 0.02
    for local in ctx.locals[:8]:
        if local in args:
            continue
        yield call.with_([*args, local], "argument add", extra)
        if args:
            yield call.with_([local, *args], "argument add", extra * 0.7)
        parameter = f"{local}={local}"
        if parameter not in call.tail and extra > 0.05:
            yield call.keyword(parameter, "argument add", extra)
