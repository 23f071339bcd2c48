"""Kinds: types of expressions, as far as recorded types and syntax tell: `int`, `list[str]`, `dict[str]` (keys)."""

from __future__ import annotations

import ast
import typing
from typing import Dict, Optional

_NUMERIC = ("int", "float", "bool", "complex")
_STR_TO_BOOL = ("isdigit", "isalpha", "isalnum", "isupper", "islower", "isspace", "startswith", "endswith")
_STR_TO_STR = (
    "upper", "lower", "strip", "lstrip", "rstrip", "replace", "join", "title", "capitalize", "swapcase",
)  # fmt: skip
_TO_INT = ("len", "int", "ord", "hash", "id", "count", "index", "find", "rfind", "bit_length")
_BY_SYNTAX: Dict[type, str] = {
    ast.Compare: "bool", ast.List: "list", ast.ListComp: "list", ast.Dict: "dict", ast.DictComp: "dict", ast.Set: "set",
    ast.SetComp: "set", ast.Tuple: "tuple", ast.JoinedStr: "str",
}  # fmt: skip
_BY_CALL = {
    **dict.fromkeys(_TO_INT, "int"),
    **dict.fromkeys(("str", "chr", "repr", "hex", "bin", "format", *_STR_TO_STR), "str"),
    **dict.fromkeys(("any", "all", "isinstance", "bool", *_STR_TO_BOOL), "bool"),
    **{name: name for name in ("set", "dict", "tuple", "float", "range")},
    "split": "list[str]",
}  # fmt: skip


def elements(kind: str | None) -> str | None:
    """`int` for `list[int]`; a string's elements are strings."""
    if kind == "str":
        return "str"
    if kind and "[" in kind:
        return kind[kind.index("[") + 1 : -1] or None
    return None


def base(kind: str | None) -> str | None:
    return kind.split("[")[0] if kind else None


def fits(one: str | None, other: str | None) -> bool:
    """Whether two kinds may stand for one another; unknown fits everything."""
    if one is None or other is None:
        return True
    one, other = base(one) or "", base(other) or ""
    return one == other or (one in _NUMERIC and other in _NUMERIC) or "NoneType" in (one, other)


Types = typing.Mapping[str, typing.Sequence[str]]  # noqa: UP006 (Python 3.8 has no other)
"""Recorded kinds by name."""


def kind_of(node: ast.AST, types: Types) -> Optional[str]:
    if isinstance(node, ast.Constant):
        return type(node.value).__name__
    if type(node) in _BY_SYNTAX:
        return _BY_SYNTAX[type(node)]
    if isinstance(node, ast.Name):
        known = types.get(node.id, ())
        return next((kind for kind in known if kind != "NoneType"), known[0] if known else None)
    if isinstance(node, ast.UnaryOp):
        return "bool" if isinstance(node.op, ast.Not) else kind_of(node.operand, types)
    if isinstance(node, ast.BinOp):
        return _of_binary(node, types)
    if isinstance(node, ast.IfExp):
        return kind_of(node.body, types) or kind_of(node.orelse, types)
    if isinstance(node, ast.Subscript):
        whole = kind_of(node.value, types)
        return whole if isinstance(node.slice, ast.Slice) else elements(whole)
    return _of_call(node, types) if isinstance(node, ast.Call) else None


def _of_binary(node: ast.BinOp, types: Types) -> Optional[str]:
    left, right = kind_of(node.left, types), kind_of(node.right, types)
    if isinstance(node.op, ast.Div):
        return "float" if base(left) in _NUMERIC or base(right) in _NUMERIC else None
    if isinstance(node.op, ast.Mod) and left == "str":
        return "str"
    if "float" in (left, right):
        return "float"
    return left if left not in (None, "int") else (right or left)


def _of_call(node: ast.Call, types: Types) -> Optional[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in _BY_CALL:
        return _BY_CALL[name]
    inner = kind_of(node.args[0], types) if node.args else None
    if name in ("list", "sorted", "splitlines"):
        return f"list[{elements(inner) or ''}]"
    if name in ("max", "min", "sum", "abs", "round", "pop") and node.args:
        return inner if base(inner) in _NUMERIC else elements(inner)
    return None
