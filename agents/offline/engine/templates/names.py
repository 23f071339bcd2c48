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
    others = [o for o in ctx.locals if o != node.id]
    for other in others[:10]:
        # every use of the name at once
        spans: list[tuple[int, int, str]] = []
        for use in ctx.nodes:
            if isinstance(use, ast.Name) and use.id == node.id and isinstance(use.ctx, ast.Load):
                spans.append((*ctx.chunk.span(use), other))
        first = min(spans)[0] if spans else -1
        if len(spans) > 1 and first == ctx.chunk.span(node)[0]:
            yield Edit(ctx.chunk.replace(*spans), "name swap, all uses", 0.06, line)
    if kind in (None, "int", "float"):
        for other in exact[:8]:
            if kind and other in ctx.types:
                for sign, prior in (("+", 0.08), ("-", 0.08), ("*", 0.06), ("//", 0.02), ("%", 0.04)):
                    yield ctx.edit(node, f"{node.id} {sign} {other}", "arithmetic extend", prior)


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
    if not isinstance(node, ast.expr) or isinstance(
        node, (ast.Starred, ast.Slice, ast.JoinedStr, ast.Lambda)
    ):
        return
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return
    parent, slot = node.parent, node.slot  # type: ignore[attr-defined]
    if isinstance(parent, (ast.Attribute, ast.FormattedValue)) or slot in ("func", "annotation"):
        return
    if isinstance(parent, ast.Call) and slot == "keywords":
        return
    kind = ctx.kind(node)
    kind = base(kind)
    text = ctx.text_at(node)
    constant = isinstance(node, ast.Constant)
    hot = slot in ("slice", "lower", "upper", "value", "comparators", "left", "args", "elt")
    if (
        kind in ("int", "float", None, "bool")
        and not constant
        and not isinstance(node, (ast.Compare, ast.BoolOp))
    ):
        tight = ctx.text_at(node, 11)
        strong = 0.35 if kind == "int" and hot else (0.2 if kind in ("int", "float") else 0.1)
        yield ctx.edit(node, f"{tight} + 1", "off by one", strong)
        yield ctx.edit(node, f"{tight} - 1", "off by one", strong)
        if kind is not None:
            product = ctx.text_at(node, 12)
            for tail, prior in (
                ("* 2", 0.06), ("// 2", 0.06), ("/ 2", 0.03), ("** 2", 0.06), ("% 2", 0.04), ("** 0.5", 0.02),
                ("* -1", 0.01), ("% 10", 0.03), ("// 10", 0.02), ("+ 2", 0.03), ("- 2", 0.03),
            ):  # fmt: skip
                base_text = ctx.text_at(node, 15) if tail.startswith("**") else product
                yield ctx.edit(node, f"{base_text} {tail}", "arithmetic with constant", prior)
            for number in ctx.numbers[:5]:
                if number not in ("1", "2", "0"):
                    for sign in "+-*%":
                        yield ctx.edit(node, f"{product} {sign} {number}", "arithmetic with constant", 0.03)
                if number.rstrip(".0") in ("2", "3", "4"):
                    power = f"{ctx.text_at(node, 15)} ** {number.rstrip('.0')}"
                    yield ctx.edit(node, power, "arithmetic with constant", 0.04)
        yield ctx.edit(node, f"-{ctx.text_at(node, 13)}", "negate number", 0.12 if kind else 0.04)
        yield ctx.edit(
            node, f"abs({text})", "wrap abs", 0.3 if isinstance(node, (ast.BinOp, ast.Name)) else 0.1
        )
        yield ctx.edit(node, f"int({text})", "wrap convert", 0.15)
        yield ctx.edit(node, f"str({text})", "wrap convert", 0.12)
        yield ctx.edit(node, f"float({text})", "wrap convert", 0.04)
        yield ctx.edit(node, f"round({text})", "wrap convert", 0.06)
        if kind != "bool":
            yield ctx.edit(node, f"round({text}, 2)", "wrap convert", 0.02)
            yield ctx.edit(node, f"max({text}, 0)", "wrap bound", 0.04)
            yield ctx.edit(node, f"max({text}, 1)", "wrap bound", 0.02)
            for other in ctx.same_kind(kind, text)[:5] if kind else []:
                yield ctx.edit(node, f"max({text}, {other})", "wrap bound", 0.05)
                yield ctx.edit(node, f"min({text}, {other})", "wrap bound", 0.05)
        yield ctx.edit(node, f"bin({text})", "wrap convert", 0.01)
        yield ctx.edit(node, f"chr({text})", "wrap convert", 0.01)
    if kind in ("bool", None) and slot in ("value", "args", "elt", "body") and not constant:
        yield ctx.edit(node, f"not {ctx.text_at(node, 6)}", "negate", 0.2 if kind == "bool" else 0.06)
        if isinstance(parent, ast.Return):
            yield ctx.edit(node, f"bool({text})", "wrap convert", 0.05)
    if kind in ("str", None) and not constant:
        dotted = ctx.text_at(node, 16)
        for call, prior in (
            ("lower()", 0.15), ("upper()", 0.12), ("strip()", 0.12), ("swapcase()", 0.05), ("split()", 0.06),
            ("rstrip()", 0.04), ("lstrip()", 0.04), ("capitalize()", 0.03), ("title()", 0.02),
        ):  # fmt: skip
            scale = 1.0 if kind == "str" else 0.25
            yield ctx.edit(node, f"{dotted}.{call}", "wrap string", prior * scale)
        if kind == "str":
            yield ctx.edit(node, f"int({text})", "wrap convert", 0.15)
            yield ctx.edit(node, f"ord({text})", "wrap convert", 0.05)
            yield ctx.edit(node, f"float({text})", "wrap convert", 0.05)
    if kind in ("list", "tuple", "set", "str", "dict", "range", None):
        scale = 1.0 if kind is not None else 0.3
        dotted = ctx.text_at(node, 16)
        for left, right, prior in (
            ("len(", ")", 0.12), ("sorted(", ")", 0.15), ("set(", ")", 0.15), ("list(", ")", 0.12),
            ("sum(", ")", 0.06), ("max(", ")", 0.06), ("min(", ")", 0.06), ("tuple(", ")", 0.06),
            ("reversed(", ")", 0.06), ("enumerate(", ")", 0.04), ("sorted(", ", reverse=True)", 0.06),
            ("sorted(set(", "))", 0.06), ("len(set(", "))", 0.03), ("any(", ")", 0.02), ("all(", ")", 0.02),
            ("list(set(", "))", 0.03), ("''.join(", ")", 0.06),
        ):  # fmt: skip
            if not (constant and kind == "str"):
                yield ctx.edit(node, f"{left}{text}{right}", "wrap collection", prior * scale)
        for key in keys_by_table(ctx) if kind in ("list", "tuple", "set") else ():
            yield ctx.edit(node, f"sorted({text}, key={key})", "wrap collection", 0.06)
        if kind in ("list", "tuple", "str", None) and not constant:
            for tail, prior in (
                ("[0]", 0.12), ("[-1]", 0.12), ("[1:]", 0.2), ("[:-1]", 0.2), ("[::-1]", 0.2), ("[:]", 0.08),
                ("[1]", 0.04), ("[2:]", 0.03), ("[::2]", 0.04), ("[1::2]", 0.04),
            ):  # fmt: skip
                yield ctx.edit(node, dotted + tail, "subscript extend", prior * scale)
            for name in ctx.same_kind("int")[:6]:
                if name in ctx.types:
                    yield ctx.edit(node, f"{dotted}[{name}]", "subscript extend", 0.08 * scale)
                    yield ctx.edit(node, f"{dotted}[{name}:]", "subscript extend", 0.05 * scale)
                    yield ctx.edit(node, f"{dotted}[:{name}]", "subscript extend", 0.05 * scale)
        if kind == "dict":
            for tail in (".items()", ".keys()", ".values()"):
                yield ctx.edit(node, dotted + tail, "wrap collection", 0.1)
        if kind in ("list", "str", "tuple") and (
            isinstance(parent, (ast.Assign, ast.Return, ast.BinOp)) or slot == "args"
        ):
            inner = elements(ctx.kind(node))
            for name in ctx.locals[:8]:
                known = base(next(iter(ctx.types.get(name, [])), None))
                if known == kind:
                    yield ctx.edit(node, f"{ctx.text_at(node, 11)} + {name}", "concatenate", 0.08)
                    yield ctx.edit(node, f"{name} + {ctx.text_at(node, 12)}", "concatenate", 0.06)
                elif kind == "list" and known and (inner is None or known == inner):
                    yield ctx.edit(node, f"{ctx.text_at(node, 11)} + [{name}]", "concatenate", 0.08)
                    yield ctx.edit(node, f"[{name}] + {ctx.text_at(node, 12)}", "concatenate", 0.08)
