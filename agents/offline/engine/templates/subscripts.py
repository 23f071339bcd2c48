"""Subscripts, slices, comprehensions and displays.

Literature: array-index and off-by-one fixers of PAR and TBar, the QuixBugs taxonomy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .context import Context, Edit, base

_WHOLES = ("sum", "max", "min", "len", "any", "all")


def subscripts(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.Subscript):
        yield from _subscript(ctx, node)
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
        yield from _comprehension(ctx, node)
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)) and isinstance(
        getattr(node, "ctx", ast.Load()), ast.Load
    ):
        yield from _display(ctx, node)
    elif isinstance(node, ast.Dict) and len(node.keys) > 1 and len(node.keys) <= 8:
        for i in range(len(node.values)):
            for j in range(i + 1, len(node.values)):
                one, two = node.values[i], node.values[j]
                text = ctx.chunk.replace(
                    (*ctx.chunk.span(one), ctx.chunk.segment(two)),
                    (*ctx.chunk.span(two), ctx.chunk.segment(one)),
                )
                yield Edit(text, "dict values swap", 0.05, ctx.chunk.line(one))


def _subscript(ctx: Context, node: ast.Subscript) -> Iterator[Edit | None]:
    if isinstance(node.ctx, ast.Load):
        yield ctx.edit(node, ctx.text_at(node.value), "unwrap subscript", 0.3)
    if isinstance(node.slice, ast.Slice):
        yield from _slice(ctx, node, node.slice)
    elif not isinstance(node.slice, ast.Tuple):
        yield from _index(ctx, node)


def _slice(ctx: Context, node: ast.Subscript, index: ast.Slice) -> Iterator[Edit | None]:
    whole = ctx.text_at(node.value, 16)
    low, high, step = (
        ctx.text_at(p) if p is not None else "" for p in (index.lower, index.upper, index.step)
    )

    def built(a: str, b: str, c: str, template: str, prior: float) -> Edit | None:
        return ctx.edit(node, f"{whole}[{a}:{b}" + (f":{c}]" if c else "]"), template, prior)

    yield built("", high, step, "slice bound", 0.35 if low else 0)
    yield built(low, "", step, "slice bound", 0.35 if high else 0)
    yield built(low, high, "", "slice bound", 0.35 if step else 0)
    yield built(low, high, "-1", "slice step", 0.2)
    yield built("", "", step, "slice bound", 0.2) if step else built(low, high, "2", "slice step", 0.08)
    if low != high:
        yield built(high, low, step, "slice bound", 0.3)
    bounds = [(text, 0.2) for text in ("1", "-1", "2")]
    for local in ctx.same_kind("int")[:6]:
        bounds += [(local, 0.2), (f"{local} + 1", 0.12)]
        if not step:
            yield built(low, high, local, "slice step", 0.06)
    for text, prior in bounds:
        if not low:
            yield built(text, high, step, "slice bound", prior)
        if not high:
            yield built(low, text, step, "slice bound", prior)
    for one in (low, high):
        if one and not step and isinstance(node.ctx, ast.Load):
            yield ctx.edit(node, f"{whole}[{one}]", "slice to index", 0.15)


def _plain(index: ast.AST) -> ast.AST:
    """The expression of an index, which Python 3.8 wraps."""
    return getattr(index, "value", index) if type(index).__name__ == "Index" else index


def _index(ctx: Context, node: ast.Subscript) -> Iterator[Edit | None]:
    whole, inner = ctx.text_at(node.value, 16), _plain(node.slice)
    text = ctx.text_at(inner)
    if isinstance(node.ctx, ast.Load):
        for tail, prior in (
            (f"[{text}:]", 0.12), (f"[:{text}]", 0.12), (f".get({text})", 0.06), (f".get({text}, 0)", 0.06),
        ):  # fmt: skip
            yield ctx.edit(node, whole + tail, "index to slice", prior)
        if isinstance(node.value, ast.Subscript) and not isinstance(node.value.slice, ast.Slice):
            # x[i][j] -> x[j][i]
            outer, first = ctx.text_at(node.value.value, 16), ctx.text_at(_plain(node.value.slice))
            yield ctx.edit(node, f"{outer}[{text}][{first}]", "index swap", 0.4)
        if base(ctx.kind(node.value)) in ("list", "tuple") and not isinstance(node.parent, ast.Subscript):  # type: ignore[attr-defined]
            made = isinstance(
                node.value, ast.ListComp
            )  # an element of what was made for this is seldom wanted
            for name in _WHOLES:
                yield ctx.edit(
                    node, f"{name}({ctx.text_at(node.value)})", "element to whole", 0.15 if made else 0.05
                )
    for value, prior in (("0", 0.2), ("-1", 0.25), ("1", 0.15), (f"-{ctx.text_at(inner, 13)}", 0.1)):
        if value != text:
            yield ctx.edit(node, f"{whole}[{value}]", "index value", prior)
    if not isinstance(inner, ast.Constant):
        yield ctx.edit(node, f"{whole}[{ctx.text_at(inner, 12)} % len({whole})]", "index value", 0.06)
        yield ctx.edit(node, f"{whole}[len({whole}) - 1 - {ctx.text_at(inner, 12)}]", "index value", 0.06)


def _comprehension(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    generators = node.generators  # type: ignore[attr-defined]
    last = generators[-1]
    element = node.key if isinstance(node, ast.DictComp) else node.elt  # type: ignore[attr-defined]
    if isinstance(node, ast.ListComp) and len(generators) == 1 and not last.ifs:
        yield ctx.edit(node, ctx.text_at(last.iter), "comprehension drop", 0.1)
    for index, test in enumerate(last.ifs):
        before = last.ifs[index - 1] if index else last.iter
        start, end = ctx.chunk.span(before)[1], ctx.chunk.span(test)[1]
        if ctx.chunk.data[start:end].count(b"(") == ctx.chunk.data[start:end].count(b")"):
            yield ctx.raw(start, end, "", test, "filter drop", 0.3)
        tight = ctx.text_at(test, 6)
        yield ctx.edit(test, f"not {tight}", "negate condition", 0.4)
    if isinstance(node, ast.DictComp):
        key, value = ctx.text_at(node.key), ctx.text_at(node.value)
        start, end = ctx.chunk.span(node.key)[0], ctx.chunk.span(node.value)[1]
        yield ctx.raw(start, end, f"{value}: {key}", node, "dict key and value", 0.2)
        return
    if isinstance(node, ast.ListComp):
        body = ctx.chunk.segment(node)[1:-1]
        yield ctx.edit(node, "{" + body + "}", "comprehension kind", 0.08)
        yield ctx.edit(node, "(" + body + ")", "comprehension kind", 0.05)
    for name in [n.id for n in ast.walk(last.target) if isinstance(n, ast.Name)]:
        if ctx.chunk.segment(element) != name:
            yield ctx.edit(element, name, "element replace", 0.15)
    if len(generators) == 2 and ctx.chunk.segment(node).count("\n") == 0:
        one, two = generators
        if not one.ifs and not two.ifs:
            first = f"for {ctx.chunk.segment(one.target)} in {ctx.text_at(one.iter)}"
            second = f"for {ctx.chunk.segment(two.target)} in {ctx.text_at(two.iter)}"
            start, end = ctx.chunk.span(element)[1], ctx.chunk.span(two.iter)[1]
            yield ctx.raw(start, end, f" {second} {first}", node, "generator order", 0.15)


def _display(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    items = node.elts  # type: ignore[attr-defined]
    if 2 <= len(items) <= 8:
        for i in range(len(items)):
            for j in range(i + 1, len(items)):
                text = ctx.chunk.replace(
                    (*ctx.chunk.span(items[i]), ctx.chunk.segment(items[j])),
                    (*ctx.chunk.span(items[j]), ctx.chunk.segment(items[i])),
                )
                yield Edit(text, "element swap", 0.45 if len(items) == 2 else 0.2, ctx.chunk.line(items[i]))
        for i in range(len(items)):
            edge = (ctx.chunk.span(items[i])[0], ctx.chunk.span(items[i + 1])[0]) if i + 1 < len(items) else (
                ctx.chunk.span(items[i - 1])[1], ctx.chunk.span(items[i])[1])  # fmt: skip
            yield ctx.raw(*edge, "", node, "element drop", 0.15)
            if isinstance(node, ast.Tuple) and len(items) == 2:
                yield ctx.edit(node, ctx.text_at(items[i]), "element drop", 0.12)
    if isinstance(node, ast.List):
        yield from _list(ctx, node, items)
    elif isinstance(node, ast.Tuple) and isinstance(node.parent, ast.Return):  # type: ignore[attr-defined]
        body = ctx.chunk.segment(node).strip("()")
        yield ctx.edit(node, f"[{body}]", "display kind", 0.12)


def _list(ctx: Context, node: ast.List, items: list[ast.expr]) -> Iterator[Edit | None]:
    if not items:
        for name in ctx.locals[:6]:
            yield ctx.edit(node, f"[{name}]", "element add", 0.12)
        for text in ("None", "[[]]", "[0]", "[1]", "{}", "set()", "''", "['']", "0"):
            yield ctx.edit(node, text, "display replace", 0.08)
    elif len(items) <= 6:
        yield ctx.edit(node, "[]", "display replace", 0.12)
        body = ctx.chunk.segment(node)[1:-1]
        for name in ctx.locals[:6]:
            yield ctx.edit(node, f"[{body}, {name}]", "element add", 0.04)
            yield ctx.edit(node, f"[{name}, {body}]", "element add", 0.04)
    if len(items) == 1:
        yield ctx.edit(node, ctx.text_at(items[0]), "display unwrap", 0.15)
