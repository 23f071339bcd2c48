"""Branches: what one branch of a decision has and another lacks: an `else`, a clause over the other operands.

Literature: missing cases of the Defects4J dissection (Sobreira et al. 2018); systematic edits (Saha et al. 2019).
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

from .context import Context, Edit
from .statements import indent_of, lines_of

_MOST_NAMES = 4


def branches(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if ctx.chunk.whole:
        return
    if isinstance(node, ast.If) and not node.orelse and ctx.chunk.owns_lines(node):
        yield from _other_branch(ctx, node)
    elif isinstance(node, (ast.BoolOp, ast.Compare)):
        yield from _clause(ctx, node)


def _other_branch(ctx: Context, node: ast.If) -> Iterator[Edit | None]:
    """`else:` with a statement of the branch that is there, its names exchanged for others."""
    if not ctx.chunk.owns_lines(node.body[0]):
        return
    inner = indent_of(ctx, node.body[0])
    indent = " " * ctx.root.col_offset if inner is None else inner[:-4]  # type: ignore[attr-defined]
    end = ctx.chunk.line_span(node)[1]
    head = "" if ctx.chunk.data[end - 1 : end] == b"\n" else "\n"
    for statement in node.body[-2:]:
        if inner is None or not isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)):
            continue
        text = lines_of(ctx, statement)
        if len(text) > 120 or indent_of(ctx, statement) is None:
            continue
        used = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id in ctx.locals]
        for name in list(dict.fromkeys(used))[:_MOST_NAMES]:
            for new in ctx.same_kind(ctx.kind(ast.Name(name, ast.Load())), name)[:6]:
                prior = 0.35 if new in (*ctx.usage.unread, *ctx.usage.unchanged) else 0.06
                body = re.sub(rf"\b{re.escape(name)}\b", new, text)
                yield ctx.raw(end, end, f"{head}{indent}else:\n{body}", node, "other branch", prior)
    for statement in _appended(ctx, node):
        yield ctx.raw(end, end, f"{head}{indent}else:\n{inner}{statement}\n", node, "other branch", 0.1)


def _appended(ctx: Context, node: ast.If) -> Iterator[str]:
    """`out.append(x)` where the branch appends something else of the same loop."""
    last = node.body[-1]
    if not (isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and len(last.value.args) == 1):
        return
    func, own = ctx.chunk.segment(last.value.func), ctx.text_at(last.value.args[0])
    names = [n.id for n in ast.walk(last.value.args[0]) if isinstance(n, ast.Name)]
    yield from (f"{func}({name})" for name in dict.fromkeys(names) if name in ctx.bound and name != own)


def _clause(ctx: Context, node: ast.BoolOp | ast.Compare) -> Iterator[Edit | None]:
    """One more clause: a clause that is there with its names permuted."""
    if isinstance(node, ast.Compare):
        if isinstance(node.parent, ast.BoolOp):  # type: ignore[attr-defined]
            return
        clauses, signs = [node], ("or", "and")
    else:
        clauses = [value for value in node.values if isinstance(value, ast.Compare)]
        signs = ("or",) if isinstance(node.op, ast.Or) else ("and",)
    known = {ast.dump(clause) for clause in clauses}
    for clause in clauses[:1]:
        text = ctx.text_at(clause)
        names = list(
            dict.fromkeys(n.id for n in ast.walk(clause) if isinstance(n, ast.Name) and n.id in ctx.bound)
        )
        if not 2 <= len(names) <= _MOST_NAMES:
            continue
        for order in itertools.islice(itertools.permutations(names), 1, None):
            table = dict(zip(names, order))
            new = re.sub(r"\b[A-Za-z_]\w*\b", lambda match: table.get(match[0], match[0]), text)
            if ast.dump(ast.parse(new, mode="eval").body) in known:
                continue
            for sign in signs:
                whole = ctx.text_at(node, 3 if sign == "or" else 4)
                weight = 0.25 if isinstance(node, ast.BoolOp) else 0.1
                yield ctx.edit(node, f"{whole} {sign} {new}", "clause of a sibling", weight)
