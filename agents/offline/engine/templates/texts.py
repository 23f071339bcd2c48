"""Texts: separators between what is joined, names in quotes, texts where bytes are wanted.

Literature: "change string literal" and "wrong identifier" of the SStuBs corpora (Karampatsis and Sutton 2020).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .context import Context, Edit, base

_SEPARATORS = (" ", ", ", "-", ".", ":", "_", "/", ",", "\n", ": ")
_SAID = re.compile(r"'([^'\w\n]{1,3})'|\"([^\"\w\n]{1,3})\"")


def texts(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _separated(ctx, node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in ctx.bound:
        yield from _quoted(ctx, node, node.value)
    if "TypeError" in ctx.errors and isinstance(node, ast.expr):
        yield from _coded(ctx, node)


def _separated(ctx: Context, node: ast.BinOp) -> Iterator[Edit | None]:
    """`a + b` → `a + ", " + b`; a separator that the docstring quotes or the function uses first."""
    if "str" not in (base(ctx.kind(node.left)), base(ctx.kind(node.right))):
        return
    said = [one or two for one, two in _SAID.findall(ctx.doc)]
    used = [text[1:-1] for text in ctx.strings if 2 < len(text) < 6 and not text[1:-1].isalnum()]
    left, right = ctx.text_at(node.left, 11), ctx.text_at(node.right, 12)
    for text in dict.fromkeys((*said, *used, *_SEPARATORS)):
        prior = 0.15 if text in said or text in used else 0.08
        yield ctx.edit(node, f"{left} + {text!r} + {right}", "separator", prior)


def _quoted(ctx: Context, node: ast.Constant, name: str) -> Iterator[Edit | None]:
    """A name of this scope that stands in quotes."""
    if isinstance(node.parent, ast.JoinedStr):  # type: ignore[attr-defined]
        return
    yield ctx.edit(node, name, "quoted name", 0.6)
    if "TypeError" in ctx.errors:
        yield ctx.edit(node, f"{name}.encode()", "quoted name", 0.3)


def _coded(ctx: Context, node: ast.expr) -> Iterator[Edit | None]:
    """`text` → `text.encode()` and back, where the tests met a TypeError."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call)):
        return
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or node.slot == "func":  # type: ignore[attr-defined]
        return
    kind = base(ctx.kind(node))
    if kind in ("str", "bytes"):
        call = "encode" if kind == "str" else "decode"
        yield ctx.edit(node, f"{ctx.text_at(node, 16)}.{call}()", "wrap string", 0.15)
