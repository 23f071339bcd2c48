"""Insertions: small statements before and behind a statement: guards, jumps, assignments.

Literature: GenProg's insertions, PAR's null and range checkers, TBar's FP1-FP15.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .conditions import predicates
from .context import Context, Edit, base
from .statements import indent_of, lines_of


class Place:
    """Where a statement may be put: before another, and behind it at the end of a block."""

    def __init__(self, ctx: Context, node: ast.stmt, indent: str) -> None:
        self.ctx, self.node, self.indent = ctx, node, indent
        self.start, self.end = ctx.chunk.line_span(node)
        block = getattr(node.parent, node.slot)  # type: ignore[attr-defined]
        jumps = isinstance(node, (ast.Return, ast.Break, ast.Continue, ast.Raise))
        self.last = block[-1:] == [node] and not jumps
        up, self.in_loop = node, False
        while up is not ctx.root:
            up = up.parent  # type: ignore[attr-defined]
            self.in_loop = self.in_loop or isinstance(up, (ast.For, ast.While))

    def put(self, text: str, template: str, prior: float) -> Iterator[Edit]:
        chunk, line = self.ctx.chunk, self.ctx.chunk.line(self.node)
        start, end, indent = self.start, self.end, self.indent
        yield Edit(chunk.replace((start, start, f"{indent}{text}\n")), template, prior, line)
        if self.last:
            head = "" if chunk.data[end - 1 : end] == b"\n" else "\n"
            yield Edit(chunk.replace((end, end, f"{head}{indent}{text}\n")), template, prior, line)


def place_of(ctx: Context, node: ast.AST) -> Place | None:
    """Where a statement may be put at `node`; None where it may not."""
    if not isinstance(node, ast.stmt) or node is ctx.root or not ctx.chunk.owns_lines(node):
        return None
    indent = indent_of(ctx, node)
    head = lines_of(ctx, node).lstrip()
    if indent is None or head.startswith(("elif", "else")) or ctx.chunk.whole:
        return None
    return Place(ctx, node, indent)


def insertions(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    """Small statements before (and, at the end of a block, behind) a statement."""
    place = place_of(ctx, node)
    if place is None:
        return
    yield from _exits(ctx, place)
    for name in ctx.locals[:8]:
        for rank, text in enumerate(_assignments(ctx, name, place.indent)):
            yield from place.put(text, "insert assignment", 0.1 / (1 + 0.05 * rank))


def _exits(ctx: Context, place: Place) -> Iterator[Edit]:
    """`if C: return v`, `if C: continue`, and both without a condition."""
    values = ["True", "False", "None", "0", "1", "[]", "''", "-1", *ctx.locals[:6]]
    returned = [ctx.text_at(n.value) for n in ctx.nodes if isinstance(n, ast.Return) and n.value is not None]
    values = list(dict.fromkeys([r for r in returned if len(r) < 40 and "\n" not in r] + values))
    jumps = [("continue", 0.8), ("break", 0.8)] if place.in_loop else []
    scale = 0.12 if place.node.parent is ctx.root else 0.06  # type: ignore[attr-defined]
    for text, weight in predicates(ctx, place.node, 90):
        head = f"if {text}:\n{place.indent}    "
        for rank, value in enumerate(values[:10]):
            yield from place.put(f"{head}return {value}", "guard return", scale * weight / (1 + 0.25 * rank))
        for jump, prior in jumps:
            yield from place.put(head + jump, "guard jump", 0.1 * prior * weight)
    for jump, prior in jumps:
        yield from place.put(jump, "insert jump", 0.06 * prior)
    for value in values[:8]:
        yield from place.put(f"return {value}", "insert return", 0.06)


def _assignments(ctx: Context, name: str, indent: str) -> list[str]:
    """Statements that change a local name, by its kind."""
    kind = base(next((k for k in ctx.types.get(name, []) if k != "NoneType"), None))
    others = [other for other in ctx.locals[:6] if other != name]
    options: list[str] = []
    if kind in ("int", "float", None):
        options += [f"{name} += 1", f"{name} -= 1", f"{name} = 0", f"{name} = 1"]
        for other in ctx.same_kind("int", name)[:4]:
            options += [f"{name} += {other}", f"{name} -= {other}"]
    if kind in ("list", None):
        options += [f"{name}.sort()", f"{name}.reverse()", f"{name} = []", f"{name} = list({name})"]
        options += [f"{name}.pop()", *(f"{name}.append({other})" for other in others)]
        options += [f"{name} = sorted({name})", f"{name} = {name}[::-1]"]
    if kind == "set":
        options += [f"{name}.add({other})" for other in others]
    if kind in ("set", "dict"):
        options.append(f"{name} = {name}.copy()")
    if kind == "str":
        options += [f"{name} = {name}.{call}()" for call in ("lower", "upper", "strip")]
        options += [f"{name} = ''", *(f"{name} += {other}" for other in ctx.same_kind("str", name)[:4])]
    if kind == "bool":
        options += [f"{name} = True", f"{name} = False", f"{name} = not {name}"]
    options += [f"{name} = {other}" for other in ctx.same_kind(kind, name)[:5]]
    if "NoneType" in ctx.types.get(name, []):
        options += [f"if {name} is None:\n{indent}    {name} = {v}" for v in ("[]", "{}", "''", "0")]
    return options
