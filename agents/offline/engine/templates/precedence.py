"""Precedence: where an expression needs parentheses, after Python's operator precedence table."""

from __future__ import annotations

import ast

_BINOP_LEVEL = {
    ast.BitOr: 7, ast.BitXor: 8, ast.BitAnd: 9, ast.LShift: 10, ast.RShift: 10, ast.Add: 11, ast.Sub: 11,
    ast.Mult: 12, ast.MatMult: 12, ast.Div: 12, ast.FloorDiv: 12, ast.Mod: 12, ast.Pow: 14,
}  # fmt: skip


def level(node: ast.AST) -> int:
    """Binding strength of an expression, after Python's operator precedence table."""
    if isinstance(node, ast.NamedExpr):
        return 0
    if isinstance(node, (ast.Lambda, ast.Yield, ast.YieldFrom)):
        return 1
    if isinstance(node, ast.IfExp):
        return 2
    if isinstance(node, ast.BoolOp):
        return 3 if isinstance(node.op, ast.Or) else 4
    if isinstance(node, ast.UnaryOp):
        return 5 if isinstance(node.op, ast.Not) else 13
    if isinstance(node, ast.Compare):
        return 6
    if isinstance(node, ast.BinOp):
        return _BINOP_LEVEL[type(node.op)]
    if isinstance(node, ast.Await):
        return 15
    if isinstance(node, ast.Starred):
        return 0
    return 16


def needed(node: ast.AST) -> int:
    """The weakest binding that may stand in the place of `node` without parentheses."""
    parent, slot = node.parent, node.slot  # type: ignore[attr-defined]
    if isinstance(parent, (ast.Attribute, ast.Await)) or (
        isinstance(parent, (ast.Subscript, ast.Call)) and slot in ("value", "func")
    ):
        return 16
    if isinstance(parent, ast.BinOp):
        own = level(parent)
        if isinstance(parent.op, ast.Pow):
            return 15 if slot == "left" else 13
        return own if slot == "left" else own + 1
    if isinstance(parent, ast.UnaryOp):
        return level(parent)
    if isinstance(parent, (ast.Compare, ast.Starred)):
        return 7
    if isinstance(parent, ast.BoolOp):
        return level(parent) + 1
    if isinstance(parent, ast.IfExp):
        return 2 if slot == "orelse" else 3
    if isinstance(parent, ast.comprehension):
        return 3
    return 1
