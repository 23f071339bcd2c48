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


class _Found:
    """Texts with the best weight each was given."""

    def __init__(self) -> None:
        self.weights: dict[str, float] = {}

    def add(self, text: str, weight: float) -> None:
        if weight > self.weights.get(text, 0.0):
            self.weights[text] = weight

    def signs(self, one: str, two: str, weights: tuple[tuple[str, float], ...], scale: float) -> None:
        for sign, weight in weights:
            self.add(f"{one} {sign} {two}", weight * scale)


_WITH_NUMBER = (("==", 0.6), ("!=", 0.4), (">", 0.5), ("<", 0.5), (">=", 0.35), ("<=", 0.4))
_WITH_NAME = (("<", 0.5), (">", 0.5), ("==", 0.45), ("!=", 0.45), ("<=", 0.35), (">=", 0.35))
_WITH_LENGTH = (("==", 0.4), ("<", 0.35), (">", 0.35), ("<=", 0.25))


def predicates(ctx: Context, node: ast.AST, limit: int = 160) -> list[tuple[str, float]]:
    """Boolean expressions in order of how often such a condition is what was missing."""
    found = _Found()
    items = list(atoms(ctx, node).items())
    plain = ("0", "1", "2", "-1")
    numbers = ["0", "1", "2", *[n for n in ctx.numbers if n not in plain][:4], "-1"]
    numbers += [n for n in ctx.said_numbers if n not in numbers][:3]
    for rank, (text, kind) in enumerate(items):
        scale = 1.0 / (1 + 0.12 * rank)
        _of_number(found, text, base(kind), numbers, scale)
        _of_truth(ctx, found, text, base(kind), scale)
        _of_text(ctx, found, text, base(kind), scale)
        _of_collection(found, text, kind, numbers, scale)
        for name in ctx.usage.asking:
            found.add(f"{name}({text})", 0.3 * scale)
            found.add(f"not {name}({text})", 0.2 * scale)
    for i, one in enumerate(items):
        for j, two in enumerate(items):
            if i != j:
                _of_two(found, one, two, i < j, 1.0 / (1 + 0.08 * (i + j)))
    _asked_elsewhere(ctx, found)
    return sorted(found.weights.items(), key=lambda item: -item[1])[:limit]


def _of_number(found: _Found, text: str, kind: str | None, numbers: list[str], scale: float) -> None:
    if kind is None:
        for number in numbers[:2]:
            found.add(f"{text} == {number}", 0.24 * scale)
    if kind not in ("int", "float"):
        return
    for number in numbers:
        found.signs(text, number, _WITH_NUMBER, scale * (1.0 if number in ("0", "1") else 0.5))
    if kind == "int":
        for number in ["2", *[n for n in numbers if n not in ("0", "1", "2", "-1")][:4]]:
            found.add(f"{text} % {number} == 0", 0.4 * scale)
            found.add(f"{text} % {number} != 0", 0.4 * scale)


def _of_truth(ctx: Context, found: _Found, text: str, kind: str | None, scale: float) -> None:
    if kind not in ("int", "float"):
        found.add(f"not {text}", 0.7 * scale)
        found.add(text, (0.7 if kind == "bool" else 0.4) * scale)
    if kind in (None, "NoneType") or "NoneType" in ctx.types.get(text, []):
        found.add(f"{text} is None", 0.6 * scale)
        found.add(f"{text} is not None", 0.5 * scale)


def _of_text(ctx: Context, found: _Found, text: str, kind: str | None, scale: float) -> None:
    if kind != "str":
        return
    for literal in ctx.strings[:4]:
        found.add(f"{text} == {literal}", 0.35 * scale)
        found.add(f"{text} != {literal}", 0.3 * scale)
    for literal in ctx.strings[:2]:
        found.add(f"{literal} in {text}", 0.2 * scale)
        found.add(f"{literal} not in {text}", 0.2 * scale)
    for method in ("isdigit", "isalpha", "isupper", "islower", "isspace"):
        found.add(f"{text}.{method}()", 0.2 * scale)


def _of_collection(found: _Found, text: str, kind: str | None, numbers: list[str], scale: float) -> None:
    if base(kind) in ("list", "str", "tuple", "dict", "set"):
        for number in numbers[:4]:
            found.signs(f"len({text})", number, _WITH_LENGTH, scale)
    if base(kind) in ("list", "tuple"):
        found.add(f"{text} == sorted({text})", 0.1 * scale)
        found.add(f"len(set({text})) != len({text})", 0.08 * scale)
        if elements(kind) in ("int", "float"):
            found.add(f"min({text}) < 0", 0.06 * scale)


def _of_two(
    found: _Found, first: tuple[str, str | None], second: tuple[str, str | None], ahead: bool, scale: float
) -> None:
    """Two atoms held against each other; `ahead`: the first stands nearer."""
    (one, kind_one), (two, kind_two) = first, second
    a, b = base(kind_one), base(kind_two)
    if ahead and a in ("int", "float") and b in ("int", "float"):
        found.signs(one, two, _WITH_NAME, scale)
        found.add(f"{one} % {two} == 0", 0.15 * scale)
    elif ahead and a == b:
        found.signs(one, two, (("==", 0.4), ("!=", 0.4)) if a else (("==", 0.15), ("is", 0.1)), scale)
    if a == "int" and b in ("list", "str", "tuple"):
        found.signs(one, f"len({two})", (("<", 0.3), (">=", 0.25)), scale)
        found.add(f"{one} == len({two}) - 1", 0.15 * scale)
        found.add(f"{one} + 1 < len({two})", 0.15 * scale)
    if _may_hold(a, kind_one, kind_two):
        found.signs(one, two, (("not in", 0.45), ("in", 0.45)), scale)


def _may_hold(a: str | None, kind_one: str | None, kind_two: str | None) -> bool:
    """Whether something of kind `kind_one` may be an element of something of `kind_two`."""
    b, inner = base(kind_two), elements(kind_two)
    if b == "str":
        return a == "str"
    if b not in ("list", "tuple", "set", "dict") or (a == "list" and inner != "list"):
        return False
    return inner is None or a is None or base(inner) == a or b in ("dict", "set")


def _asked_elsewhere(ctx: Context, found: _Found) -> None:
    """Conditions that the function already asks."""
    for inner in ctx.nodes:
        if isinstance(inner, ast.Compare) or getattr(inner, "slot", "") == "test":
            text = ctx.text_at(inner)
            if len(text) < 60 and "\n" not in text:
                found.add(text, 0.5)
                found.add(f"not {ctx.text_at(inner, 6)}", 0.35)


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
