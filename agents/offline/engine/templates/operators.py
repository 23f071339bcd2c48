"""Operators: comparison, arithmetic, boolean, unary and augmented; dropped and swapped operands.

Literature: mutation operators ROR, AOR, LCR, UOI/UOD of mutation testing, used for repair by Debroy and
Wong, PraPR and the QuixBugs taxonomy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .context import Context, Edit, base

_COMPARE = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_NEAR = {
    "<": {"<=": 1.0, ">": 0.7, ">=": 0.6, "!=": 0.3, "==": 0.2},
    "<=": {"<": 1.0, ">=": 0.7, ">": 0.6, "==": 0.3, "!=": 0.2},
    ">": {">=": 1.0, "<": 0.7, "<=": 0.6, "!=": 0.3, "==": 0.2},
    ">=": {">": 1.0, "<=": 0.7, "<": 0.6, "==": 0.3, "!=": 0.2},
    "==": {"!=": 0.8, "<=": 0.5, ">=": 0.5, "in": 0.2, "<": 0.3, ">": 0.3, "is": 0.1, "not in": 0.05},
    "!=": {"==": 0.8, "<": 0.4, ">": 0.4, "not in": 0.2, "is not": 0.1, ">=": 0.2, "<=": 0.2, "in": 0.05},
    "is": {"is not": 0.8, "==": 0.5, "in": 0.05},
    "is not": {"is": 0.8, "!=": 0.5, "not in": 0.05},
    "in": {"not in": 0.8, "==": 0.4, "!=": 0.1, "is": 0.05},
    "not in": {"in": 0.8, "!=": 0.4, "==": 0.1},
}
_ARITHMETIC = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>", ast.MatMult: "@",
}  # fmt: skip
_SWAPS = {
    "+": {"-": 0.9, "*": 0.4, "|": 0.05, "%": 0.1, "//": 0.1, "/": 0.1, "**": 0.05},
    "-": {"+": 0.9, "*": 0.2, "%": 0.2, "//": 0.2, "/": 0.1, "**": 0.05},
    "*": {"+": 0.5, "**": 0.5, "/": 0.4, "//": 0.4, "-": 0.2, "%": 0.2},
    "/": {"//": 0.8, "*": 0.6, "%": 0.4, "-": 0.1, "+": 0.1},
    "//": {"/": 0.7, "%": 0.7, "*": 0.5, "-": 0.1, "+": 0.1, ">>": 0.05},
    "%": {"//": 0.8, "/": 0.4, "*": 0.2, "-": 0.2, "+": 0.2},
    "**": {"*": 0.7, "//": 0.1, "+": 0.2, "/": 0.1},
    "&": {"|": 0.8, "^": 0.6, "-": 0.2, "+": 0.1}, "|": {"&": 0.8, "^": 0.6, "-": 0.3, "+": 0.2},
    "^": {"&": 0.8, "|": 0.8, "**": 0.3, "-": 0.2, "+": 0.1}, "<<": {">>": 0.8, "*": 0.1},
    ">>": {"<<": 0.8, "//": 0.2}, "@": {"*": 0.5},
}  # fmt: skip


def operators(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.Compare):
        yield from _compare(ctx, node)
    elif isinstance(node, ast.BinOp):
        yield from _binary(ctx, node)
    elif isinstance(node, ast.BoolOp):
        yield from _boolean(ctx, node)
    elif isinstance(node, ast.UnaryOp):
        yield ctx.edit(node, ctx.text_at(node.operand), "drop unary", 0.6)
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            yield ctx.edit(node, f"~{ctx.text_at(node.operand, 13)}", "unary swap", 0.05)
    elif isinstance(node, ast.AugAssign):
        yield from _augmented(ctx, node)
    elif isinstance(node, ast.Assign):
        yield from _plain(ctx, node)
    elif isinstance(node, ast.IfExp):
        test, one, two = (ctx.text_at(n, 3) for n in (node.test, node.body, node.orelse))
        yield ctx.edit(node, f"{two} if {test} else {one}", "conditional swap", 0.6)
        yield ctx.edit(node, ctx.text_at(node.body), "conditional drop", 0.25)
        yield ctx.edit(node, ctx.text_at(node.orelse), "conditional drop", 0.25)
    if isinstance(node, ast.expr) and node.slot == "test":  # type: ignore[attr-defined]
        yield ctx.edit(node, f"not {ctx.text_at(node, 6)}", "negate condition", 0.45)
        for text in () if isinstance(node, ast.Constant) else ("True", "False"):
            yield ctx.edit(node, text, "constant condition", 0.12)


def _plain(ctx: Context, node: ast.Assign) -> Iterator[Edit]:
    """`x = y` → `x += y`"""
    if len(node.targets) == 1 and isinstance(node.targets[0], (ast.Name, ast.Attribute, ast.Subscript)):
        target, value = ctx.chunk.segment(node.targets[0]), ctx.text_at(node.value)
        for op, prior in (("+=", 0.25), ("-=", 0.12), ("*=", 0.06), ("//=", 0.03), ("|=", 0.02)):
            text = f"{target} {op} {value}"
            yield ctx.raw(*ctx.chunk.span(node), text, node, "plain to augmented", prior)


def _compare(ctx: Context, node: ast.Compare) -> Iterator[Edit | None]:
    sides = [node.left, *node.comparators]
    for index, op in enumerate(node.ops):
        left, right = sides[index], sides[index + 1]
        sign = _COMPARE[type(op)]
        between = (ctx.chunk.span(left)[1], ctx.chunk.span(right)[0])
        gap = ctx.chunk.data[between[0] : between[1]].decode("utf-8", "surrogateescape")
        if sign in gap:
            for new, prior in _NEAR[sign].items():
                text = gap.replace(sign, new, 1)
                yield ctx.raw(between[0], between[1], text, node, "comparison swap", prior)
        if len(node.ops) == 1:
            yield ctx.edit(
                node, f"{ctx.text_at(right, 7)} {sign} {ctx.text_at(left, 7)}", "comparison operands", 0.15
            )
            yield ctx.edit(node, f"not {ctx.text_at(node, 6)}", "negate", 0.1)
            if sign in ("==", "!="):
                kind = base(ctx.kind(left)) or base(ctx.kind(right))
                if kind == "str":
                    yield ctx.edit(
                        node,
                        f"{ctx.text_at(left, 16)}.lower() {sign} {ctx.text_at(right, 16)}.lower()",
                        "case-blind comparison",
                        0.08,
                    )
                if kind in (None, "str", "list", "tuple"):
                    for name, prior in (("set", 0.06), ("sorted", 0.06), ("len", 0.04)):
                        text = f"{name}({ctx.text_at(left)}) {sign} {name}({ctx.text_at(right)})"
                        yield ctx.edit(node, text, "both sides wrapped", prior)
                elif kind in ("int", "float"):
                    text = f"abs({ctx.text_at(left)}) {sign} abs({ctx.text_at(right)})"
                    yield ctx.edit(node, text, "both sides wrapped", 0.05)
    if len(node.ops) == 2:
        one = ctx.text_at(node.left), _COMPARE[type(node.ops[0])], ctx.text_at(node.comparators[0])
        two = ctx.text_at(node.comparators[0]), _COMPARE[type(node.ops[1])], ctx.text_at(node.comparators[1])
        yield ctx.edit(node, " ".join(one), "comparison drop", 0.2)
        yield ctx.edit(node, " ".join(two), "comparison drop", 0.2)
        for op, prior in ((" or ", 0.15), (" and ", 0.1)):
            yield ctx.edit(node, " ".join(one) + op + " ".join(two), "comparison chain", prior)


def _binary(ctx: Context, node: ast.BinOp) -> Iterator[Edit | None]:
    sign = _ARITHMETIC[type(node.op)]
    left, right = ctx.text_at(node.left, 12), ctx.text_at(node.right, 13)
    text_kind = base(ctx.kind(node)) in ("str", "list", "tuple")
    for new, prior in _SWAPS[sign].items():
        if text_kind and new not in ("+", "*"):
            continue
        one, two = ctx.text_at(node.left, _tight(new)), ctx.text_at(node.right, _tight(new) + 1)
        yield ctx.edit(node, f"{one} {new} {two}", "arithmetic swap", prior)
    commutes = sign in ("+", "*") and not text_kind
    if not commutes and not (isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant)):
        yield ctx.edit(
            node,
            f"{ctx.text_at(node.right, _tight(sign))} {sign} {ctx.text_at(node.left, _tight(sign) + 1)}",
            "arithmetic operands",
            0.5,
        )
    yield ctx.edit(node, ctx.text_at(node.left), "arithmetic drop", 0.4)
    yield ctx.edit(node, ctx.text_at(node.right), "arithmetic drop", 0.3)
    # regrouping: (a op b) op c  <->  a op (b op c)
    for child, other, first in ((node.left, node.right, True), (node.right, node.left, False)):
        if isinstance(child, ast.BinOp):
            inner = _ARITHMETIC[type(child.op)]
            a, b = ctx.text_at(child.left, 12), ctx.text_at(child.right, 13)
            if first:
                yield ctx.edit(node, f"{a} {inner} ({b} {sign} {right})", "regroup", 0.25)
                yield ctx.edit(node, f"{a} {sign} {right}", "arithmetic drop", 0.15)
            else:
                yield ctx.edit(node, f"({left} {sign} {a}) {inner} {b}", "regroup", 0.25)
                yield ctx.edit(node, f"{left} {sign} {b}", "arithmetic drop", 0.15)


def _tight(sign: str) -> int:
    return {"+": 11, "-": 11, "**": 15, "|": 7, "^": 8, "&": 9, "<<": 10, ">>": 10}.get(sign, 12)


def _boolean(ctx: Context, node: ast.BoolOp) -> Iterator[Edit | None]:
    sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    parts = [ctx.text_at(value, 5) for value in node.values]
    yield ctx.edit(node, f" {other} ".join(parts), "boolean swap", 0.8)
    for index in range(len(parts)):
        rest = parts[:index] + parts[index + 1 :]
        yield ctx.edit(node, f" {sign} ".join(rest), "boolean drop", 0.4)
        negated = [
            f"not {ctx.text_at(v, 6)}" if i == index else p
            for i, (p, v) in enumerate(zip(parts, node.values))
        ]
        yield ctx.edit(node, f" {sign} ".join(negated), "negate operand", 0.3)
    yield ctx.edit(node, f" {sign} ".join(reversed(parts)), "boolean operands", 0.25)
    if len(parts) > 2:
        for cut in range(1, len(parts)):
            one, two = f" {sign} ".join(parts[:cut]), f" {sign} ".join(parts[cut:])
            yield ctx.edit(node, f"({one}) {other} ({two})", "boolean regroup", 0.15)
    for index, value in enumerate(node.values):
        if isinstance(value, ast.BoolOp) and type(value.op) is not type(node.op):
            inner = [ctx.text_at(v, 5) for v in value.values]
            outer = [p for i, p in enumerate(parts) if i != index]
            if index == len(parts) - 1:
                text = f"({f' {sign} '.join(outer)} {sign} {inner[0]}) {other} {f' {other} '.join(inner[1:])}"
            else:
                text = (
                    f"{f' {other} '.join(inner[:-1])} {other} ({inner[-1]} {sign} {f' {sign} '.join(outer)})"
                )
            yield ctx.edit(node, text, "boolean regroup", 0.2)


def _augmented(ctx: Context, node: ast.AugAssign) -> Iterator[Edit | None]:
    sign = _ARITHMETIC[type(node.op)]
    target, value = ctx.chunk.segment(node.target), ctx.text_at(node.value)
    start, end = ctx.chunk.span(node)
    for new, prior in _SWAPS[sign].items():
        yield ctx.raw(start, end, f"{target} {new}= {value}", node, "augmented swap", prior * 0.9)
    yield ctx.raw(start, end, f"{target} = {value}", node, "augmented to plain", 0.5)
    if sign in ("-", "/", "//", "%", "**", "+"):
        yield ctx.raw(
            start,
            end,
            f"{target} = {ctx.text_at(node.value, 12)} {sign} {target}",
            node,
            "augmented operands",
            0.15,
        )
