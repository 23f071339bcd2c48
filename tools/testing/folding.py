"""Folding: what an expression comes to that depends on nothing but itself."""

from __future__ import annotations

import ast


def returns(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    """What a function may return; empty when it may also end without."""
    values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return (
        [value for value in values if value is not None] if all(value is not None for value in values) else []
    )


def truth(node: ast.expr) -> bool | None:
    """Truth of a value that does not depend on anything; None when it may depend."""
    try:
        return bool(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = truth(node.operand)
        return None if inner is None else not inner
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.Is, ast.Eq)):
        return True if ast.dump(node.left) == ast.dump(node.comparators[0]) else None
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.IsNot):
        constants = [folded(part) for part in (node.left, node.comparators[0])]
        return True if isinstance(node.left, ast.Name) and constants[1] is not None else None
    if isinstance(node, ast.BoolOp):
        truths = [truth(value) for value in node.values]
        if isinstance(node.op, ast.Or) and True in truths:
            return True
        if isinstance(node.op, ast.And) and False in truths:
            return False
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance" and len(node.args) == 2:
        return True if ast.unparse(node.args[1]) == "object" else None
    return None


def folded(node: ast.AST | None) -> str | None:
    """The text of an expression that is put together from constants."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = folded(node.left), folded(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        text = folded(node.value)
        step = node.slice.step
        if text is None or step is None or node.slice.lower or node.slice.upper:
            return None
        return text[::-1] if ast.unparse(step) == "-1" else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        between = folded(node.func.value)
        parts = node.args[0].elts if node.args and isinstance(node.args[0], (ast.List, ast.Tuple)) else []
        texts = [folded(part) for part in parts]
        return (
            between.join(t for t in texts if t)
            if between is not None and texts and None not in texts
            else None
        )
    return None


_CONVERSIONS = frozenset(
    {
        *(
            "chr",
            "map",
            "bytes",
            "bytearray",
            "str",
            "ord",
            "reversed",
            "int",
            "hex",
            "list",
            "tuple",
            "base64",
        ),
        *("codecs", "binascii", "range", "zip", "sorted", "filter"),
    }
)


def depends_on_nothing(node: ast.AST) -> bool:
    """Whether an expression is put together from constants alone, in whatever way."""
    bound = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - bound
    constants = any(isinstance(n, ast.Constant) for n in ast.walk(node))
    return constants and names <= _CONVERSIONS


def is_hidden(node: ast.AST) -> bool:
    """Whether it is a text that nobody who searches for it would find."""
    return not isinstance(node, (ast.Constant, ast.JoinedStr)) and depends_on_nothing(node)
