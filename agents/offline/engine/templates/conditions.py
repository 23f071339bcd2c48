"""Synthesis of conditions from the names, constants and expressions in scope.

Literature: Nopol (Xuan et al. 2017) and ACS (Xiong et al. 2017) synthesise the condition of a missing guard
or repair an existing one; here the grammar is enumerated by size, well-typed by the recorded runtime types.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .context import Context, Edit, base, elements


def atoms(ctx: Context, node: ast.AST) -> dict[str, str | None]:
    """Expressions a condition may speak of, nearest names first, with their kinds."""
    found: dict[str, str | None] = {}
    line = ctx.chunk.line(node)
    near = sorted(ctx.locals, key=lambda n: abs(line - ctx.bound.get(n, 0)))
    for name in near:
        if ctx.bound.get(name, 0) <= line:
            found[name] = next((k for k in ctx.types.get(name, []) if k != "NoneType"), None)
    used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    ordered = sorted(found, key=lambda n: n not in used)
    found = {name: found[name] for name in ordered[:9]}
    for text, (kind, count, _) in sorted(ctx.pool.items(), key=lambda item: -item[1][1]):
        if text not in found and len(text) <= 24 and not text.isidentifier() and len(found) < 16:
            names = {n.id for n in ast.walk(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)}
            if names & set(ctx.bound) or "self" in names:
                found[text] = kind
    return found


def predicates(ctx: Context, node: ast.AST, limit: int = 160) -> list[tuple[str, float]]:
    """Boolean expressions in order of how often such a condition is what was missing."""
    found: dict[str, float] = {}

    def add(text: str, weight: float) -> None:
        if weight > found.get(text, 0.0):
            found[text] = weight

    pieces = atoms(ctx, node)
    items = list(pieces.items())
    numbers = ["0", "1", "2", *[n for n in ctx.numbers if n not in ("0", "1", "2")][:4], "-1"]
    for rank, (text, kind) in enumerate(items):
        kind_base = base(kind)
        scale = 1.0 / (1 + 0.12 * rank)
        if kind_base in ("int", "float", None):
            for number in numbers if kind_base else numbers[:2]:
                weak = 1.0 if number in ("0", "1") else 0.5
                for sign, weight in (
                    ("==", 0.6),
                    ("!=", 0.4),
                    (">", 0.5),
                    ("<", 0.5),
                    (">=", 0.35),
                    ("<=", 0.4),
                ):
                    if kind_base or sign == "==":
                        add(f"{text} {sign} {number}", weight * weak * scale * (1 if kind_base else 0.4))
        if kind_base == "int":
            for number in ["2", *[n for n in numbers if n not in ("0", "1", "2", "-1")][:2]]:
                add(f"{text} % {number} == 0", 0.4 * scale)
                add(f"{text} % {number} != 0", 0.4 * scale)
        if kind_base not in ("int", "float"):
            add(f"not {text}", 0.7 * scale)
            add(text, 0.4 * scale)
        if kind_base in (None, "NoneType") or "NoneType" in ctx.types.get(text, []):
            add(f"{text} is None", 0.6 * scale)
            add(f"{text} is not None", 0.5 * scale)
        if kind_base == "bool":
            add(text, 0.7 * scale)
        if kind_base in ("list", "str", "tuple", "dict", "set"):
            for number in numbers[:4]:
                for sign, weight in (("==", 0.4), ("<", 0.35), (">", 0.35), ("<=", 0.25)):
                    add(f"len({text}) {sign} {number}", weight * scale)
        if kind_base == "str":
            for literal in ctx.strings[:4]:
                add(f"{text} == {literal}", 0.35 * scale)
                add(f"{text} != {literal}", 0.3 * scale)
            for literal in ctx.strings[:2]:
                add(f"{literal} in {text}", 0.2 * scale)
                add(f"{literal} not in {text}", 0.2 * scale)
            for method in ("isdigit", "isalpha", "isupper", "islower", "isspace"):
                add(f"{text}.{method}()", 0.2 * scale)
        if kind_base in ("list", "tuple"):
            add(f"{text} == sorted({text})", 0.1 * scale)
            add(f"len(set({text})) != len({text})", 0.08 * scale)
            if elements(kind) in ("int", "float"):
                add(f"min({text}) < 0", 0.06 * scale)
    for i, (one, kind_one) in enumerate(items):
        for j, (two, kind_two) in enumerate(items):
            if i == j:
                continue
            scale = 1.0 / (1 + 0.08 * (i + j))
            a, b = base(kind_one), base(kind_two)
            if a in ("int", "float") and b in ("int", "float") and i < j:
                for sign, weight in (
                    ("<", 0.5),
                    (">", 0.5),
                    ("==", 0.45),
                    ("!=", 0.45),
                    ("<=", 0.35),
                    (">=", 0.35),
                ):
                    add(f"{one} {sign} {two}", weight * scale)
                add(f"{one} % {two} == 0", 0.15 * scale)
            elif a == b and a is not None and i < j:
                add(f"{one} == {two}", 0.4 * scale)
                add(f"{one} != {two}", 0.4 * scale)
            if a == "int" and b in ("list", "str", "tuple"):
                add(f"{one} < len({two})", 0.3 * scale)
                add(f"{one} >= len({two})", 0.25 * scale)
                add(f"{one} == len({two}) - 1", 0.15 * scale)
                add(f"{one} + 1 < len({two})", 0.15 * scale)
            if b in ("list", "tuple", "set", "dict", "str") and (a != "list" or elements(kind_two) == "list"):
                if b != "str" or a == "str":
                    inner = elements(kind_two)
                    if inner is None or a is None or base(inner) == a or b in ("dict", "set"):
                        add(f"{one} not in {two}", 0.45 * scale)
                        add(f"{one} in {two}", 0.45 * scale)
            if a is None and b is None and i < j:
                add(f"{one} == {two}", 0.15 * scale)
                add(f"{one} is {two}", 0.1 * scale)
    for inner in ctx.nodes:
        # conditions that the function already asks elsewhere
        if isinstance(inner, ast.Compare) or getattr(inner, "slot", "") == "test":
            text = ctx.text_at(inner)
            if len(text) < 60 and "\n" not in text:
                add(text, 0.5)
                add(f"not {ctx.text_at(inner, 6)}", 0.35)
    ranked = sorted(found.items(), key=lambda item: -item[1])
    return ranked[:limit]


def conditions(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    """Extend an existing condition by a conjunct or a disjunct, or replace it."""
    tests: list[ast.AST] = []
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = list(node.ifs[-1:])
        if not node.ifs:
            anchor = node.iter
            for text, weight in predicates(ctx, node.iter if not _names(node.target) else node.target, 120):
                if _names(node.target) & set(_words(text)):
                    start, end = ctx.chunk.span(anchor)
                    if ctx.chunk.data[end : end + 1] in (b"]", b")", b"}", b"\n", b" "):
                        yield ctx.raw(end, end, f" if {text}", anchor, "filter add", 0.25 * weight)
    elif isinstance(node, ast.Return) and node.value is not None and ctx.kind(node.value) == "bool":
        tests = [node.value]
    for test in tests:
        both = ctx.text_at(test, 5)
        options = predicates(ctx, test)
        for text, weight in options:
            if text == both:
                continue
            guarded = f"{text} and {both}"
            yield ctx.edit(test, f"{both} and {text}", "condition extend", 0.3 * weight)
            yield ctx.edit(test, f"{ctx.text_at(test, 4)} or {text}", "condition extend", 0.3 * weight)
            if weight > 0.25:
                yield ctx.edit(test, guarded, "condition extend", 0.12 * weight)
                yield ctx.edit(test, f"{text} or {ctx.text_at(test, 4)}", "condition extend", 0.1 * weight)
            yield ctx.edit(test, text, "condition replace", 0.2 * weight)


def _names(target: ast.AST) -> set:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}


def _words(text: str) -> list[str]:
    return [n.id for n in ast.walk(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)]
