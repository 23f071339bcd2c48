"""Ingredient reuse: expressions and statements of the same function put in another place.

Literature: the plastic surgery hypothesis (Barr et al. 2014), GenProg, ssFix, CapGen's context-aware
ingredients; here an ingredient must fit the recorded runtime type of what it replaces.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .context import Context, Edit, base, fits
from .statements import indent_of, lines_of, shifted


def ingredients(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.expr):
        yield from _expressions(ctx, node)
    elif isinstance(node, ast.stmt) and node is not ctx.root and not ctx.chunk.whole:
        if isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Tuple):
            for text in ctx.pool:
                if text.isidentifier() or text.endswith(("]", *ctx.attribute_names)):
                    yield ctx.edit(node.targets[0], text, "assignment target", 0.12)
        yield from _statements(ctx, node)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node is ctx.root:
        yield from _defaults(ctx, node)


def _expressions(ctx: Context, node: ast.expr) -> Iterator[Edit | None]:
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)) or isinstance(
        node, (ast.Slice, ast.Starred, ast.JoinedStr)
    ):
        return
    parent, slot = node.parent, node.slot  # type: ignore[attr-defined]
    if slot == "func" or (isinstance(parent, ast.Attribute) and isinstance(node, ast.Name)):
        return
    kind = ctx.kind(node)
    yield from _in_place(ctx, node, kind)
    if base(kind) in ("int", "float") and not isinstance(node, ast.Constant):
        yield from _terms(ctx, node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        # the call's result combined with a name: missing term of a recursion or a sum
        for name in ctx.same_kind(kind)[:6] if kind else ctx.locals[:6]:
            for sign, prior in (("+", 0.08), ("-", 0.04), ("*", 0.05)):
                yield ctx.edit(node, f"{ctx.text_at(node, 11)} {sign} {name}", "arithmetic extend", prior)
                yield ctx.edit(node, f"{name} {sign} {ctx.text_at(node, 12)}", "arithmetic extend", prior)


def _in_place(ctx: Context, node: ast.expr, kind: str | None) -> Iterator[Edit | None]:
    own = ctx.text_at(node)
    for text, (other, count, _) in ctx.pool.items():
        if text == own or (text.isidentifier() and isinstance(node, ast.Name)):
            continue
        known = kind is not None and other is not None
        if known and not fits(kind, other):
            continue
        prior = (0.1 if known else 0.04) * (1 + 0.1 * min(count, 3))
        if text in own or own in text:
            prior *= 1.3
        yield ctx.edit(node, text, "ingredient expression", prior)


def _terms(ctx: Context, node: ast.expr) -> Iterator[Edit | None]:
    own, sum_, product = ctx.text_at(node), ctx.text_at(node, 11), ctx.text_at(node, 12)
    for text, (other, _, strength) in ctx.pool.items():
        if base(other) in ("int", "float") and text != own and not text.isidentifier() and len(text) < 24:
            piece = f"({text})" if strength < 12 else text
            yield ctx.edit(node, f"{sum_} + {piece}", "arithmetic extend", 0.04)
            yield ctx.edit(node, f"{sum_} - {piece}", "arithmetic extend", 0.04)
            yield ctx.edit(node, f"{product} * {piece}", "arithmetic extend", 0.03)


def _statements(ctx: Context, node: ast.stmt) -> Iterator[Edit | None]:
    """A copy of another statement before this one, as it stands or with one name exchanged."""
    indent = indent_of(ctx, node) if ctx.chunk.owns_lines(node) else None
    start, end = ctx.chunk.line_span(node)
    if indent is None or ctx.chunk.data[start:end].lstrip().startswith((b"elif", b"else")):
        return
    block = getattr(node.parent, node.slot)  # type: ignore[attr-defined]
    places: list[tuple[int, str]] = [(start, "")]
    if block[-1:] == [node] and not isinstance(node, (ast.Return, ast.Break, ast.Continue, ast.Raise)):
        places.append((end, "" if ctx.chunk.data[end - 1 : end] == b"\n" else "\n"))
    for other in ctx.nodes:
        if isinstance(other, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)) and other is not node:
            for text, prior in _versions(ctx, other, indent):
                for at, head in places:
                    source = ctx.chunk.replace((at, at, head + text))
                    yield Edit(source, "ingredient statement", prior, ctx.chunk.line(node))


def _versions(ctx: Context, statement: ast.stmt, indent: str) -> list[tuple[str, float]]:
    """A statement's lines at another indent, as they are and with one name exchanged."""
    own = indent_of(ctx, statement) if ctx.chunk.owns_lines(statement) else None
    text = lines_of(ctx, statement)
    if own is None or len(text) > 120:
        return []
    body = shifted(text, len(indent) - len(own))
    versions = [(body, 0.1)]
    used = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id in ctx.locals]
    for name in list(dict.fromkeys(used))[:4]:
        versions += [
            (re.sub(rf"\b{re.escape(name)}\b", new, body), 0.02) for new in ctx.locals[:8] if new != name
        ]
    return versions


def _defaults(ctx: Context, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Edit | None]:
    """A mutable default becomes None with a guard."""
    arguments = node.args.posonlyargs + node.args.args
    pairs = list(zip(arguments[len(arguments) - len(node.args.defaults) :], node.args.defaults))
    pairs += [(a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults) if d is not None]
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    for argument, default in pairs:
        if (
            isinstance(default, (ast.List, ast.Dict, ast.Set, ast.Call))
            and body
            and ctx.chunk.owns_lines(body[0])
        ):
            indent = indent_of(ctx, body[0]) or "    "
            at = ctx.chunk.line_span(body[0])[0]
            fresh = ctx.chunk.segment(default)
            guard = f"{indent}if {argument.arg} is None:\n{indent}    {argument.arg} = {fresh}\n"
            source = ctx.chunk.replace((*ctx.chunk.span(default), "None"), (at, at, guard))
            yield Edit(source, "mutable default", 0.5, ctx.chunk.line(default))
