"""Exceptions: what a handler catches and what is raised, by what the failing tests met and the file knows.

Literature: exception handler fixes of TBar (FP12) and of the PySStuBs corpus.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from .context import Context, Edit

_USUAL = ("TypeError", "ValueError", "KeyError", "IndexError", "AttributeError")


def exceptions(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    if isinstance(node, ast.ExceptHandler) and node.type is not None:
        yield from _handler(ctx, node)
    elif isinstance(node, ast.Raise) and node.exc is not None:
        target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        own = ctx.chunk.segment(target)
        for name, prior in _candidates(ctx):
            if name != own:
                yield ctx.edit(target, name, "exception type", prior)


def _handler(ctx: Context, node: ast.ExceptHandler) -> Iterator[Edit | None]:
    kind = node.type
    assert kind is not None
    members = list(kind.elts) if isinstance(kind, ast.Tuple) else [kind]
    texts = [ctx.chunk.segment(member) for member in members]
    for name, prior in _candidates(ctx):
        if name in texts:
            continue
        for at, member in enumerate(members):
            yield ctx.edit(member, name, "exception type", prior / (1 + at))
        yield ctx.edit(kind, f"({', '.join([*texts, name])})", "exception add", 1.2 * prior)


def _candidates(ctx: Context) -> list[tuple[str, float]]:
    """Names of exceptions with priors: those that the tests met, the issue names, the file uses, the usual ones."""
    found: dict[str, float] = {}
    for name in ctx.errors:
        if _is_exception(name) or name in ctx.file_exceptions:
            found.setdefault(name, 0.5)
    for name in ctx.issue_words:
        if _is_exception(name) or name in ctx.file_exceptions:
            found.setdefault(name, 0.4)
    for name in ctx.file_exceptions[:12]:
        found.setdefault(name, 0.2)
    for name in _USUAL:
        found.setdefault(name, 0.1)
    found.pop("AssertionError", None)
    return list(found.items())


def _is_exception(name: str) -> bool:
    known = getattr(builtins, name, None)
    return isinstance(known, type) and issubclass(known, BaseException)
