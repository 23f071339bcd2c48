"""Statements: deleted, moved, guarded, unwrapped, swapped.

Literature: GenProg's delete and swap, TBar's FP1-FP15.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .conditions import predicates
from .context import Context, Edit

_SIMPLE = (
    ast.Assign,
    ast.AugAssign,
    ast.Expr,
    ast.Return,
    ast.Break,
    ast.Continue,
    ast.Raise,
    ast.Delete,
    ast.Assert,
)
_BLOCKS = ("body", "orelse", "finalbody")


def indent_of(ctx: Context, node: ast.stmt) -> str | None:
    start, _ = ctx.chunk.line_span(node)
    first, _ = ctx.chunk.span(node)
    text = ctx.chunk.data[start:first].decode("utf-8", "surrogateescape")
    return text if not text.strip() else None


def lines_of(ctx: Context, node: ast.stmt) -> str:
    start, end = ctx.chunk.line_span(node)
    text = ctx.chunk.data[start:end].decode("utf-8", "surrogateescape")
    return text if text.endswith("\n") else text + "\n"


def shifted(text: str, delta: int) -> str:
    """Lines indented by `delta` more (or less) blanks."""
    out = []
    for line in text.splitlines(keepends=True):
        if not line.strip():
            out.append(line)
        elif delta >= 0:
            out.append(" " * delta + line)
        else:
            out.append(line[-delta:] if not line[:-delta].strip() else line.lstrip(" "))
    return "".join(out)


def statements(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if not isinstance(node, ast.stmt) or node is ctx.root or not ctx.chunk.owns_lines(node):
        return
    parent, slot = node.parent, node.slot  # type: ignore[attr-defined]
    block: list[ast.stmt] = getattr(parent, slot)
    indent = indent_of(ctx, node)
    if indent is None or not isinstance(block, list):
        return
    start, end = ctx.chunk.line_span(node)
    index = block.index(node)
    yield from _delete(ctx, node, block, indent)
    if index + 1 < len(block) and ctx.chunk.owns_lines(block[index + 1]):
        after = block[index + 1]
        stop = ctx.chunk.line_span(after)[1]
        yield ctx.raw(start, stop, lines_of(ctx, after) + lines_of(ctx, node), node, "statement swap", 0.2)
    yield from _move(ctx, node, parent, slot, index, block, indent)
    yield from _shape(ctx, node, indent)
    if isinstance(node, ast.Return):
        yield from _returns(ctx, node)
    if isinstance(node, (ast.Break, ast.Continue)):
        other = "continue" if isinstance(node, ast.Break) else "break"
        yield ctx.raw(*ctx.chunk.span(node), other, node, "jump swap", 0.5)
        yield ctx.raw(*ctx.chunk.span(node), "pass", node, "jump swap", 0.3)
        for name in ("True", "False", "None", *ctx.locals[:6]):
            yield ctx.raw(*ctx.chunk.span(node), f"return {name}", node, "jump to return", 0.1)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        text = ctx.text_at(node.value)
        yield ctx.raw(*ctx.chunk.span(node), f"return {text}", node, "return result", 0.2)
        if isinstance(node.value.func, ast.Attribute) and isinstance(node.value.func.value, ast.Name):
            target = node.value.func.value.id
            yield ctx.raw(*ctx.chunk.span(node), f"{target} = {text}", node, "assign result", 0.15)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield) and node.value.value is not None:
        yield ctx.raw(
            *ctx.chunk.span(node), f"yield from {ctx.text_at(node.value.value)}", node, "yield from", 0.4
        )
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.YieldFrom):
        yield ctx.raw(
            *ctx.chunk.span(node), f"yield {ctx.text_at(node.value.value)}", node, "yield from", 0.4
        )
    yield from _guard_around(ctx, node, indent)


def _delete(ctx: Context, node: ast.stmt, block: list[ast.stmt], indent: str) -> Iterator[Edit | None]:
    start, end = ctx.chunk.line_span(node)
    prior = 0.4 if isinstance(node, _SIMPLE) else 0.2
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return
    if (
        isinstance(node, ast.If)
        and getattr(node, "slot", "") == "orelse"
        and ctx.chunk.data[start:end].lstrip().startswith(b"elif")
    ):  # type: ignore[attr-defined]
        if not node.orelse:
            yield ctx.raw(start, end, "", node, "delete branch", 0.25)
        return
    index = block.index(node)
    for more in (2, 3):
        run = block[index : index + more]
        if len(run) == more < len(block) and all(
            isinstance(s, _SIMPLE) and ctx.chunk.owns_lines(s) for s in run
        ):
            stop = ctx.chunk.line_span(run[-1])[1]
            yield ctx.raw(start, stop, "", node, "delete statements", 0.16 / more)
    if len(block) == 1:
        yield ctx.raw(start, end, f"{indent}pass\n", node, "delete statement", 0.4 * prior)
    else:
        yield ctx.raw(start, end, "", node, "delete statement", prior)


def _move(
    ctx: Context, node: ast.stmt, parent: ast.AST, slot: str, index: int, block: list[ast.stmt], indent: str
) -> Iterator[Edit | None]:
    """Out of its block (behind or before it), or into the block before it."""
    start, end = ctx.chunk.line_span(node)
    text = lines_of(ctx, node)
    loops = (ast.For, ast.While, ast.If, ast.With, ast.AsyncFor, ast.AsyncWith)
    if isinstance(parent, loops) and parent is not ctx.root and ctx.chunk.owns_lines(parent):
        outer = indent_of(ctx, parent)
        if outer is not None and len(block) > 1:
            moved = shifted(text, len(outer) - len(indent))
            p_start, p_end = ctx.chunk.line_span(parent)
            if index == len(block) - 1:
                source = ctx.chunk.replace((start, end, ""), (p_end, p_end, moved))
                yield Edit(source, "move statement out", 0.4, ctx.chunk.line(node))
            if index == 0 or isinstance(node, _SIMPLE):
                source = ctx.chunk.replace((start, end, ""), (p_start, p_start, moved))
                yield Edit(source, "move statement out", 0.2, ctx.chunk.line(node))
    if index > 0 and isinstance(block[index - 1], loops) and ctx.chunk.owns_lines(block[index - 1]):
        before = block[index - 1]
        target = before
        depth = 0
        while depth < 3 and isinstance(target, loops):
            inside = (getattr(target, "orelse", None) or target.body)[-1]  # type: ignore[attr-defined]
            inner = indent_of(ctx, inside) if ctx.chunk.owns_lines(inside) else None
            if inner is not None and len(inner) > len(indent):
                at = ctx.chunk.line_span(inside)[1]
                moved = shifted(text, len(inner) - len(indent))
                source = ctx.chunk.replace((start, end, ""), (at, at, moved))
                yield Edit(source, "move statement in", 0.3 / (depth + 1), ctx.chunk.line(node))
            target, depth = inside, depth + 1
    if index >= 2 and isinstance(node, _SIMPLE):
        for back in range(index - 2, max(-1, index - 5), -1):
            at = ctx.chunk.line_span(block[back])[0]
            source = ctx.chunk.replace((start, end, ""), (at, at, text))
            yield Edit(source, "move statement up", 0.1, ctx.chunk.line(node))
    if index + 2 < len(block) and isinstance(node, _SIMPLE):
        for ahead in range(index + 2, min(len(block), index + 5)):
            at = ctx.chunk.line_span(block[ahead])[1]
            source = ctx.chunk.replace((start, end, ""), (at, at, text))
            yield Edit(source, "move statement down", 0.1, ctx.chunk.line(node))


def _shape(ctx: Context, node: ast.stmt, indent: str) -> Iterator[Edit | None]:
    """if/while/elif/else changed into one another, branches swapped, wrappers removed."""
    if isinstance(node, (ast.If, ast.While)):
        first = ctx.chunk.span(node)[0]
        word = next(w for w in (b"elif", b"if", b"while") if ctx.chunk.data[first:].startswith(w))
        yield from _word(ctx, node, word)
        if ctx.chunk.owns_lines(node.body[0]):
            yield from _blocks(ctx, node, indent, word)
    if isinstance(node, ast.Try) and ctx.chunk.owns_lines(node.body[0]):
        for kind in [handler.type for handler in node.handlers if handler.type is not None]:
            for other in _EXCEPTIONS:
                yield ctx.edit(kind, other, "exception type", 0.15)
            both = f"({ctx.chunk.segment(kind).strip('()')}, TypeError)"
            yield ctx.edit(kind, both, "exception type", 0.1)
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        for other in (*_EXCEPTIONS[1:], "RuntimeError"):
            yield ctx.edit(node.exc.func, other, "exception type", 0.15)


_EXCEPTIONS = ("Exception", "ValueError", "TypeError", "KeyError", "IndexError", "AttributeError")


def _word(ctx: Context, node: ast.If | ast.While, word: bytes) -> Iterator[Edit]:
    first = ctx.chunk.span(node)[0]
    stop = first + len(word)
    if word == b"elif":
        yield ctx.raw(first, stop, "if", node, "elif to if", 0.3)
    elif word == b"while":
        yield ctx.raw(first, stop, "if", node, "while to if", 0.2)
    else:
        yield ctx.raw(first, stop, "while", node, "if to while", 0.25)
        block = getattr(node.parent, "body", [])  # type: ignore[attr-defined]
        at = block.index(node) if isinstance(block, list) and node in block else 0
        if at > 0 and isinstance(block[at - 1], ast.If):
            yield ctx.raw(first, stop, "elif", node, "if to elif", 0.3)


def _blocks(ctx: Context, node: ast.If | ast.While, indent: str, word: bytes) -> Iterator[Edit]:
    start, end = ctx.chunk.line_span(node)
    body = "".join(lines_of(ctx, s) for s in node.body if ctx.chunk.owns_lines(s))
    inner = indent_of(ctx, node.body[0])
    if inner is None:
        return
    if word != b"elif":
        unwrapped = shifted(body, len(indent) - len(inner))
        yield ctx.raw(start, end, unwrapped, node, "unwrap block", 0.3 if not node.orelse else 0.12)
    elses = node.orelse if isinstance(node, ast.If) else []
    if not elses or isinstance(elses[0], ast.If) and len(elses) == 1:
        return
    if all(ctx.chunk.owns_lines(s) for s in elses):
        a, b = ctx.chunk.line_span(node.body[0])[0], ctx.chunk.line_span(node.body[-1])[1]
        c, d = ctx.chunk.line_span(elses[0])[0], ctx.chunk.line_span(elses[-1])[1]
        other = "".join(lines_of(ctx, s) for s in elses)
        source = ctx.chunk.replace((a, b, other), (c, d, body))
        yield Edit(source, "branch swap", 0.25, ctx.chunk.line(node))
        yield ctx.raw(b, d, "", node, "delete else", 0.25)
        # the else part always runs
        yield ctx.raw(b, d, shifted(other, len(indent) - len(inner)), node, "unwrap else", 0.25)


def _returns(ctx: Context, node: ast.Return) -> Iterator[Edit | None]:
    if node.value is None:
        for name in ("None", "True", "False", *ctx.locals[:8]):
            yield ctx.raw(*ctx.chunk.span(node), f"return {name}", node, "return replace", 0.2)
        return
    for name in ctx.locals[:10]:
        yield ctx.edit(node.value, name, "return replace", 0.12)
    for text, prior in (
        ("None", 0.1),
        ("True", 0.1),
        ("False", 0.1),
        ("0", 0.08),
        ("1", 0.05),
        ("-1", 0.05),
        ("[]", 0.08),
        ("''", 0.06),
    ):
        yield ctx.edit(node.value, text, "return replace", prior)
    yield ctx.raw(*ctx.chunk.span(node), f"yield {ctx.text_at(node.value)}", node, "return to yield", 0.05)
    if isinstance(node.value, (ast.Name, ast.Call)):
        for name in ctx.locals[:6]:
            if name != ctx.chunk.segment(node.value):
                yield ctx.edit(node.value, f"({ctx.text_at(node.value)}, {name})", "return tuple", 0.05)


def _guard_around(ctx: Context, node: ast.stmt, indent: str) -> Iterator[Edit | None]:
    """`if C:` around one statement."""
    if not isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Break, ast.Raise)):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    start, end = ctx.chunk.line_span(node)
    body = shifted(lines_of(ctx, node), 4)
    for text, weight in predicates(ctx, node, 70):
        yield ctx.raw(start, end, f"{indent}if {text}:\n{body}", node, "guard statement", 0.14 * weight)
