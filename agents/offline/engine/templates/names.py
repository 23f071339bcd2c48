"""Names and attributes: wrong variable, wrong attribute, off-by-one and wrapped uses.

Literature: "change identifier used" of ManySStuBs4J / PySStuBs, TBar's variable replacer, AVATAR.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .arguments import keys_by_table
from .context import Context, Edit, base, elements


def names(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            called = isinstance(node.parent, ast.Call) and node.slot == "func"  # type: ignore[attr-defined]
            if not called:
                yield from _load(ctx, node)
        elif isinstance(node.ctx, ast.Store):
            for other in ctx.same_kind(ctx.kind(node), node.id)[:8]:
                yield ctx.edit(node, other, "assign to other name", 0.12)
    elif isinstance(node, ast.Attribute):
        yield from _attribute(ctx, node)


def _load(ctx: Context, node: ast.Name) -> Iterator[Edit | None]:
    if node.id in ctx.modules and node.id not in ctx.bound:
        return  # a module is never mistaken for a value
    kind = ctx.kind(node)
    exact = ctx.same_kind(kind, node.id)
    line = ctx.chunk.line(node)
    for rank, other in enumerate(exact):
        prior = 0.55 / (1 + 0.15 * rank)
        if ctx.bound.get(other, 0) > line:
            prior *= 0.4
        if kind is not None and other not in ctx.types:
            prior *= 0.4
        yield ctx.edit(node, other, "name swap", prior)
    for other in ctx.locals:
        if other != node.id and other not in exact:
            yield ctx.edit(node, other, "name swap, other type", 0.1)
    yield from _all_uses(ctx, node)
    for other in exact[:8] if kind in ("int", "float") else ():
        for sign, prior in _EXTENDS if other in ctx.types else ():
            yield ctx.edit(node, f"{node.id} {sign} {other}", "arithmetic extend", prior)


_EXTENDS = (("+", 0.08), ("-", 0.08), ("*", 0.06), ("//", 0.02), ("%", 0.04))


def _all_uses(ctx: Context, node: ast.Name) -> Iterator[Edit]:
    """Another name at every use at once; made at the first of them."""
    uses = [
        n for n in ctx.nodes if isinstance(n, ast.Name) and n.id == node.id and isinstance(n.ctx, ast.Load)
    ]
    spans = sorted(ctx.chunk.span(use) for use in uses)
    if len(spans) < 2 or spans[0] != ctx.chunk.span(node):
        return
    for other in [o for o in ctx.locals if o != node.id][:10]:
        text = ctx.chunk.replace(*((start, end, other) for start, end in spans))
        yield Edit(text, "name swap, all uses", 0.06, ctx.chunk.line(node))


def _attribute(ctx: Context, node: ast.Attribute) -> Iterator[Edit | None]:
    whole = ctx.chunk.segment(node.value)
    if "\n" in whole or not isinstance(node.ctx, (ast.Load, ast.Store)):
        return
    called = isinstance(node.parent, ast.Call) and node.slot == "func"  # type: ignore[attr-defined]
    seen = {node.attr}
    owner = ctx.kind(node.value)
    if whole == "self":
        owner = next(iter(ctx.types.get("self", [])), None)
    for other in ctx.nodes:
        if (
            isinstance(other, ast.Attribute)
            and other.attr not in seen
            and ctx.chunk.segment(other.value) == whole
        ):
            seen.add(other.attr)
            yield ctx.edit(node, f"{whole}.{other.attr}", "attribute swap", 0.25 if not called else 0.15)
    # what objects of this type have, then what other objects of this scope are asked for
    elsewhere = [n.attr for n in ctx.nodes if isinstance(n, ast.Attribute)]
    for number, other in enumerate([*ctx.attributes.get(owner or "", [])[:30], *elsewhere]):
        if other not in seen and number < 60:
            seen.add(other)
            close = len(set(other.split("_")) & set(node.attr.split("_"))) > 0
            yield ctx.edit(node, f"{whole}.{other}", "attribute swap", 0.15 if close else 0.08)
    if not called and isinstance(node.ctx, ast.Load):
        yield ctx.edit(node, whole, "attribute drop", 0.1)
        if node.attr in ctx.bound:
            yield ctx.edit(node, node.attr, "attribute to name", 0.15)


def wraps(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    """Off-by-one, conversions and other one-call wrappings of an expression, by its kind."""
    if not isinstance(node, ast.expr) or not _may_be_wrapped(node):
        return
    kind = base(ctx.kind(node))
    constant = isinstance(node, ast.Constant)
    if kind in ("int", "float", None, "bool") and not isinstance(
        node, (ast.Compare, ast.BoolOp, ast.Constant)
    ):
        yield from _number_wraps(ctx, node, kind)
    if kind in ("bool", None) and not constant:
        yield from _truth_wraps(ctx, node, kind)
    if kind in ("str", None) and not constant:
        yield from _string_wraps(ctx, node, kind)
    if kind in ("list", "tuple", "set", "str", "dict", "range", None):
        yield from _collection_wraps(ctx, node, kind)
        if kind in ("list", "tuple", "str", None) and not constant:
            yield from _pieces(ctx, node, 1.0 if kind is not None else 0.3)
        if kind in ("list", "str", "tuple"):
            yield from _concatenations(ctx, node, kind)


def _may_be_wrapped(node: ast.expr) -> bool:
    parent, slot = node.parent, node.slot  # type: ignore[attr-defined]
    if isinstance(node, (ast.Starred, ast.Slice, ast.JoinedStr, ast.Lambda)):
        return False
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return False
    if isinstance(parent, (ast.Attribute, ast.FormattedValue)) or slot in ("func", "annotation"):
        return False
    return not (isinstance(parent, ast.Call) and slot == "keywords")


def _number_wraps(ctx: Context, node: ast.expr, kind: str | None) -> Iterator[Edit | None]:
    slot = node.slot  # type: ignore[attr-defined]
    text, tight = ctx.text_at(node), ctx.text_at(node, 11)
    hot = slot in ("slice", "lower", "upper", "value", "comparators", "left", "args", "elt")
    strong = 0.35 if kind == "int" and hot else (0.2 if kind in ("int", "float") else 0.1)
    yield ctx.edit(node, f"{tight} + 1", "off by one", strong)
    yield ctx.edit(node, f"{tight} - 1", "off by one", strong)
    if kind is not None:
        yield from _with_constants(ctx, node)
    yield ctx.edit(node, f"-{ctx.text_at(node, 13)}", "negate number", 0.12 if kind else 0.04)
    yield ctx.edit(node, f"abs({text})", "wrap abs", 0.3 if isinstance(node, (ast.BinOp, ast.Name)) else 0.1)
    for name, prior in (("int", 0.15), ("str", 0.12), ("float", 0.04), ("round", 0.06)):
        yield ctx.edit(node, f"{name}({text})", "wrap convert", prior)
    if kind != "bool":
        yield ctx.edit(node, f"round({text}, 2)", "wrap convert", 0.02)
        yield ctx.edit(node, f"max({text}, 0)", "wrap bound", 0.04)
        yield ctx.edit(node, f"max({text}, 1)", "wrap bound", 0.02)
        for other in ctx.same_kind(kind, text)[:5] if kind else []:
            yield ctx.edit(node, f"max({text}, {other})", "wrap bound", 0.05)
            yield ctx.edit(node, f"min({text}, {other})", "wrap bound", 0.05)
    yield ctx.edit(node, f"bin({text})", "wrap convert", 0.01)
    yield ctx.edit(node, f"chr({text})", "wrap convert", 0.01)


_TAILS = (
    ("* 2", 0.06), ("// 2", 0.06), ("/ 2", 0.03), ("** 2", 0.06), ("% 2", 0.04), ("** 0.5", 0.02), ("* -1", 0.01),
    ("% 10", 0.03), ("// 10", 0.02), ("+ 2", 0.03), ("- 2", 0.03),
)  # fmt: skip


def _with_constants(ctx: Context, node: ast.expr) -> Iterator[Edit | None]:
    product, power = ctx.text_at(node, 12), ctx.text_at(node, 15)
    for tail, prior in _TAILS:
        left = power if tail.startswith("**") else product
        yield ctx.edit(node, f"{left} {tail}", "arithmetic with constant", prior)
    for number in ctx.numbers[:5]:
        for sign in "+-*%" if number not in ("1", "2", "0") else "":
            yield ctx.edit(node, f"{product} {sign} {number}", "arithmetic with constant", 0.03)
        whole = number.rstrip(".0")
        if whole in ("2", "3", "4"):
            yield ctx.edit(node, f"{power} ** {whole}", "arithmetic with constant", 0.04)


def _truth_wraps(ctx: Context, node: ast.expr, kind: str | None) -> Iterator[Edit | None]:
    if node.slot in ("value", "args", "elt", "body"):  # type: ignore[attr-defined]
        yield ctx.edit(node, f"not {ctx.text_at(node, 6)}", "negate", 0.2 if kind == "bool" else 0.06)
        if isinstance(node.parent, ast.Return):  # type: ignore[attr-defined]
            yield ctx.edit(node, f"bool({ctx.text_at(node)})", "wrap convert", 0.05)


_STRING_CALLS = (
    ("lower()", 0.15), ("upper()", 0.12), ("strip()", 0.12), ("swapcase()", 0.05), ("split()", 0.06),
    ("rstrip()", 0.04), ("lstrip()", 0.04), ("capitalize()", 0.03), ("title()", 0.02),
)  # fmt: skip


def _string_wraps(ctx: Context, node: ast.expr, kind: str | None) -> Iterator[Edit | None]:
    text, dotted = ctx.text_at(node), ctx.text_at(node, 16)
    for call, prior in _STRING_CALLS:
        yield ctx.edit(node, f"{dotted}.{call}", "wrap string", prior * (1.0 if kind == "str" else 0.25))
    if kind == "str":
        for name, prior in (("int", 0.15), ("ord", 0.05), ("float", 0.05)):
            yield ctx.edit(node, f"{name}({text})", "wrap convert", prior)


_COLLECTION_CALLS = (
    ("len(", ")", 0.12), ("sorted(", ")", 0.15), ("set(", ")", 0.15), ("list(", ")", 0.12),
    ("sum(", ")", 0.06), ("max(", ")", 0.06), ("min(", ")", 0.06), ("tuple(", ")", 0.06),
    ("reversed(", ")", 0.06), ("enumerate(", ")", 0.04), ("sorted(", ", reverse=True)", 0.06),
    ("sorted(set(", "))", 0.06), ("len(set(", "))", 0.03), ("any(", ")", 0.02), ("all(", ")", 0.02),
    ("list(set(", "))", 0.03), ("''.join(", ")", 0.06),
)  # fmt: skip


def _collection_wraps(ctx: Context, node: ast.expr, kind: str | None) -> Iterator[Edit | None]:
    scale = 1.0 if kind is not None else 0.3
    text = ctx.text_at(node)
    if not (isinstance(node, ast.Constant) and kind == "str"):
        for left, right, prior in _COLLECTION_CALLS:
            yield ctx.edit(node, f"{left}{text}{right}", "wrap collection", prior * scale)
    for key in keys_by_table(ctx) if kind in ("list", "tuple", "set") else ():
        yield ctx.edit(node, f"sorted({text}, key={key})", "wrap collection", 0.06)
    if kind == "dict":
        for tail in (".items()", ".keys()", ".values()"):
            yield ctx.edit(node, ctx.text_at(node, 16) + tail, "wrap collection", 0.1)


_PIECES = (
    ("[0]", 0.12), ("[-1]", 0.12), ("[1:]", 0.2), ("[:-1]", 0.2), ("[::-1]", 0.2), ("[:]", 0.08), ("[1]", 0.04),
    ("[2:]", 0.03), ("[::2]", 0.04), ("[1::2]", 0.04),
)  # fmt: skip


def _pieces(ctx: Context, node: ast.expr, scale: float) -> Iterator[Edit | None]:
    dotted = ctx.text_at(node, 16)
    for tail, prior in _PIECES:
        yield ctx.edit(node, dotted + tail, "subscript extend", prior * scale)
    for name in ctx.same_kind("int")[:6]:
        if name in ctx.types:
            for tail, prior in ((f"[{name}]", 0.08), (f"[{name}:]", 0.05), (f"[:{name}]", 0.05)):
                yield ctx.edit(node, dotted + tail, "subscript extend", prior * scale)


def _concatenations(ctx: Context, node: ast.expr, kind: str) -> Iterator[Edit | None]:
    parent, slot = node.parent, node.slot  # type: ignore[attr-defined]
    if not isinstance(parent, (ast.Assign, ast.Return, ast.BinOp)) and slot != "args":
        return
    inner = elements(ctx.kind(node))
    left, right = ctx.text_at(node, 11), ctx.text_at(node, 12)
    for name in ctx.locals[:8]:
        known = base(next(iter(ctx.types.get(name, [])), None))
        if known == kind:
            yield ctx.edit(node, f"{left} + {name}", "concatenate", 0.08)
            yield ctx.edit(node, f"{name} + {right}", "concatenate", 0.06)
        elif kind == "list" and known and (inner is None or known == inner):
            yield ctx.edit(node, f"{left} + [{name}]", "concatenate", 0.08)
            yield ctx.edit(node, f"[{name}] + {right}", "concatenate", 0.08)
