"""Siblings: what other functions of the file do and this one does not.

Literature: the plastic surgery hypothesis (Barr et al. 2014), ssFix, CapGen; here the donors are calls to the same
function, functions with much the same lines, guards and checks over the same names.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator

from ..chunk import Chunk
from .context import Context, Edit
from .statements import indent_of, lines_of, shifted

_ALIKE = 0.3
"""Least likeness (of lines) at which a function is a sibling."""
_MOST_DECORATORS = 6
_FLAGS = {
    "popitem": "last=False", "move_to_end": "last=False", "splitlines": "True", "zip": "strict=True",
    "dumps": "sort_keys=True", "makedirs": "exist_ok=True", "mkdir": "exist_ok=True",
}  # fmt: skip


def siblings(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.Call):
        yield from _arguments_elsewhere(ctx, node)
        yield from _chain(ctx, node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        for text in ctx.own_attributes[:16]:
            yield ctx.edit(node, text, "constant to attribute", 0.2 if text in ctx.pool else 0.08)
    elif isinstance(node, ast.Assign):
        yield from _renamed(ctx, node)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node is ctx.root:
        for chunk in ctx.other_functions:
            yield from _aligned(ctx, chunk)
        yield from _decorators(ctx, node)
    if isinstance(node, ast.stmt) and node is not ctx.root:
        yield from _checks(ctx, node)
    if isinstance(node, ast.expr):
        yield from _wrapped(ctx, node)


def _arguments_elsewhere(ctx: Context, node: ast.Call) -> Iterator[Edit | None]:
    """Arguments that other calls of the same function give."""
    name = ctx.called(node)
    own = {keyword.arg for keyword in node.keywords}
    close = ctx.chunk.span(node)[1] - 1
    inside = ctx.chunk.data[ctx.chunk.span(node.func)[1] : close]
    tail = inside.rstrip()
    at = close - (len(inside) - len(tail))
    head = "" if tail.endswith((b"(", b",")) else ", "
    if name in _FLAGS and _FLAGS[name].partition("=")[0] not in own:
        yield ctx.raw(at, at, f"{head}{_FLAGS[name]}", node, "argument of a flag", 0.25)
    missing: list[str] = []
    for call in ctx.calls_of(name):
        if call.names - ctx.reachable or call.starred:
            continue
        extra = [] if node.keywords else call.positional[len(node.args) :]
        extra += [f"{key}={value}" for key, value in call.keywords.items() if key not in own]
        missing += [", ".join(extra), *extra] if extra else []
    for text in list(dict.fromkeys(missing))[:12]:
        yield ctx.raw(at, at, f"{head}{text}", node, "argument of a sibling", 0.4)


def _chain(ctx: Context, node: ast.Call) -> Iterator[Edit | None]:
    """x.a(..).b(..) -> x.b(..).a(..)"""
    inner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
        start, middle, end = (ctx.chunk.span(part)[1] for part in (inner.func.value, inner, node))
        one, two = ctx.chunk.data[start:middle], ctx.chunk.data[middle:end]
        yield ctx.raw(start, end, (two + one).decode("utf-8", "surrogateescape"), node, "chain swap", 0.3)


def _renamed(ctx: Context, node: ast.Assign) -> Iterator[Edit | None]:
    """Another assignment of this function with its names changed for this one's."""
    mine = _core(node)
    if not mine or not ctx.chunk.owns_lines(node):
        return
    for other in ctx.nodes:
        theirs = _core(other) if isinstance(other, ast.Assign) else ""
        if theirs and theirs != mine:
            text = re.sub(rf"(?<![A-Za-z]){re.escape(theirs)}(?![A-Za-z])", mine, ctx.chunk.segment(other))
            if "\n" not in text:
                yield ctx.raw(*ctx.chunk.span(node), text, node, "statement of a sibling", 0.3)


def _core(node: ast.AST) -> str:
    """`prerelease` of `self._prerelease = ...`"""
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
    return name.strip("_")


def _aligned(ctx: Context, other: Chunk) -> Iterator[Edit | None]:
    """Lines that a function with much the same lines has and this one has not, or has otherwise."""
    mine = ctx.chunk.text.splitlines(keepends=True)
    name, theirs_name = (getattr(c.function, "name", "") for c in (ctx.chunk, other))
    text = re.sub(rf"\b{re.escape(theirs_name)}\b", name, other.text)
    theirs = text.splitlines(keepends=True)
    match = difflib.SequenceMatcher(
        None, [line.strip() for line in mine], [line.strip() for line in theirs], autojunk=False
    )
    alike = match.ratio()
    if alike < _ALIKE:
        return
    starts = [0]
    for line in mine:
        starts.append(starts[-1] + len(line.encode("utf-8", "surrogateescape")))
    for tag, a, b, c, d in match.get_opcodes():
        if tag == "equal" or a == 0 or d - c > 8 or not "".join(theirs[c:d]).strip():
            continue
        delta = _indent(mine[a - 1]) - _indent(theirs[c - 1]) if c else 0
        new = shifted("".join(theirs[c:d]), delta)
        at = min(ctx.chunk.first_line + a, ctx.chunk.last_line)
        if tag == "insert":
            yield Edit(ctx.chunk.replace((starts[a], starts[a], new)), "lines of a sibling", 0.6 * alike, at)
        elif tag == "replace" and b - a <= 4:
            yield Edit(ctx.chunk.replace((starts[a], starts[b], new)), "lines of a sibling", 0.35 * alike, at)
            yield Edit(ctx.chunk.replace((starts[a], starts[a], new)), "lines of a sibling", 0.25 * alike, at)


def _decorators(ctx: Context, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Edit | None]:
    """A decorator that functions beside this one have; this one's own taken away."""
    own = {ctx.chunk.segment(item) for item in node.decorator_list}
    donors = [chunk for chunk in ctx.other_functions if chunk.headers == ctx.chunk.headers]
    texts = [chunk.segment(item) for chunk in donors for item in chunk.function.decorator_list]  # type: ignore[attr-defined]
    indent = " " * node.col_offset
    line = ctx.chunk.line(node)
    for text in [text for text in dict.fromkeys(texts) if text not in own and "\n" not in text][
        :_MOST_DECORATORS
    ]:
        yield Edit(ctx.chunk.replace((0, 0, f"{indent}@{text}\n")), "decorator of a sibling", 0.15, line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _checks(ctx: Context, node: ast.stmt) -> Iterator[Edit | None]:
    """Guards and calls for their effect that other functions of the file begin with, over the names of this one."""
    if not ctx.chunk.owns_lines(node) or ctx.chunk.whole:
        return
    indent = indent_of(ctx, node)
    if indent is None or lines_of(ctx, node).lstrip().startswith(("elif", "else")):
        return
    start = ctx.chunk.line_span(node)[0]
    first = node.parent is ctx.root  # type: ignore[attr-defined]
    first = first and ctx.root.body.index(node) <= 1  # type: ignore[attr-defined]
    for check in ctx.file_checks:
        if not check.names - ctx.reachable and check.names & set(ctx.bound):
            text = shifted(check.text, len(indent.expandtabs(1)) - check.indent)
            yield ctx.raw(start, start, text, node, "check of a sibling", 0.3 if first else 0.05)


def _wrapped(ctx: Context, node: ast.expr) -> Iterator[Edit | None]:
    """A call of a function of this file around an expression."""
    parent, slot = node.parent, node.slot  # type: ignore[attr-defined]
    if slot not in ("value", "args", "left", "elt", "comparators", "right", "iter", "test") or isinstance(
        node, (ast.Starred, ast.Constant)
    ):
        return
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return
    around = ctx.called(parent) if isinstance(parent, ast.Call) else ""
    for name in ctx.unary_functions[:10]:
        if name != around:
            yield ctx.edit(node, f"{name}({ctx.text_at(node)})", "wrap call of this file", 0.1)
    if slot == "value" and isinstance(parent, (ast.Return, ast.Assign)):
        dotted = ctx.text_at(node, 16)
        weight = 1.0 if (ctx.kind(node) or "").startswith(("list", "dict", "set")) else 0.4
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            yield ctx.edit(node, f"{dotted}[:]", "copy", 0.25 * weight)
            yield ctx.edit(node, f"{dotted}.copy()", "copy", 0.2 * weight)
