"""Indices: the element that a loop is at, where its index, its sequence or a number stands.

Literature: array access replacers of PAR and TBar.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .context import Context, Edit, base, elements, fits

_MOST = 6


def indices(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    """`x` → `seq[i]`; `seq[i]` → its neighbours."""
    if ctx.chunk.whole or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    if isinstance(node, ast.Name) and node.slot not in ("func", "iter"):  # type: ignore[attr-defined]
        parent = node.parent  # type: ignore[attr-defined]
        if isinstance(parent, (ast.Attribute, ast.Subscript)) and node.slot == "value":  # type: ignore[attr-defined]
            return
        for text, kind in _elements(ctx):
            if node.id not in text or text.startswith(node.id):
                yield ctx.edit(node, text, "element of a loop", 0.15 if fits(ctx.kind(node), kind) else 0.06)
    elif isinstance(node, ast.Subscript) and not isinstance(node.slice, (ast.Slice, ast.Tuple)):
        yield from _neighbours(ctx, node)


def _elements(ctx: Context) -> Iterator[tuple[str, str | None]]:
    """Elements of the sequences and tables of this scope at the variables that its loops run over."""
    steps = [
        name.id
        for loop in ctx.nodes
        if isinstance(loop, (ast.For, ast.comprehension))
        for name in ast.walk(loop.target)
        if isinstance(name, ast.Name)
    ]
    steps = list(dict.fromkeys(steps))[:3]
    for name in ctx.locals[:10]:
        kind = next((k for k in ctx.types.get(name, []) if k != "NoneType"), None)
        for step in steps:
            own = base(next(iter(ctx.types.get(step, [])), None))
            if name == step or base(kind) not in ("list", "tuple", "str", "dict"):
                continue
            if own == "int" or (base(kind) == "dict" and own is not None):
                yield f"{name}[{step}]", elements(kind) if base(kind) != "dict" else None


def _neighbours(ctx: Context, node: ast.Subscript) -> Iterator[Edit | None]:
    """`grid[i][j]` → `grid[i - 1][j]` and so on, each index by one."""
    whole: ast.AST = node
    if isinstance(getattr(node, "parent", None), ast.Subscript) and node.slot == "value":  # type: ignore[attr-defined]
        return
    places: list[ast.AST] = []
    while isinstance(whole, ast.Subscript) and not isinstance(whole.slice, (ast.Slice, ast.Tuple)):
        index = getattr(whole.slice, "value", None) if type(whole.slice).__name__ == "Index" else whole.slice
        places.append(index or whole.slice)
        whole = whole.value
    if len(places) < 2 or len(places) > _MOST:
        return
    for place in places:
        if not isinstance(place, ast.Constant):
            for sign in ("-", "+"):
                yield ctx.edit(place, f"{ctx.text_at(place, 11)} {sign} 1", "neighbour", 0.3)
