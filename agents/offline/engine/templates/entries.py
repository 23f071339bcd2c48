"""Entries: what a table, a tuple of choices or a set lacks, taken from where its like stands.

Literature: the plastic surgery hypothesis (Barr et al. 2014); "missing element" of the Defects4J dissection
(Sobreira et al. 2018).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .context import Context, Edit

_MOST = 24


def entries(ctx: Context, node: ast.AST) -> Iterator[Edit | None]:
    """An element more in a display, an item more in a dict."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and node.elts:
        if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)) or len(node.elts) > 200:
            return
        known = {ast.dump(item) for item in node.elts}
        for text, prior in _elements(ctx, node.elts):
            if ast.dump(ast.parse(text, mode="eval").body) not in known:
                end = ctx.chunk.span(node.elts[-1])[1]
                yield ctx.raw(end, end, f", {text}", node, "entry add", prior)
    elif isinstance(node, ast.Dict) and node.keys and all(node.keys):
        end = ctx.chunk.span(node.values[-1])[1]
        for key, value, prior in _items(ctx, node):
            yield ctx.raw(end, end, f", {key}: {value}", node, "entry add", prior)


def _elements(ctx: Context, items: list[ast.expr]) -> Iterator[tuple[str, float]]:
    """Source texts of elements that are of a kind with those that stand there."""
    values = [item.value if isinstance(item, ast.Constant) else None for item in items]
    if all(type(value) is int for value in values):
        step = values[-1] - values[-2] if len(values) > 1 else 1  # type: ignore[operator]
        for value in dict.fromkeys((values[-1] + (step or 1), values[0] - (step or 1))):  # type: ignore[operator]
            yield repr(value), 0.4
        for number in ctx.numbers[:8]:
            yield number, 0.1
    elif all(isinstance(value, str) for value in values):
        for text in ctx.strings[:_MOST]:
            yield text, 0.25
        for word in ctx.issue_words[:_MOST]:
            yield repr(word), 0.25
        for text in ctx.file_strings[:_MOST]:
            yield text, 0.06
    elif all(isinstance(item, (ast.Name, ast.Attribute)) for item in items):
        for text in ctx.file_names(items)[:_MOST]:
            yield text, 0.15
        for name in ctx.errors:
            if ctx.is_builtin(name):
                yield name, 0.3


def _items(ctx: Context, node: ast.Dict) -> Iterator[tuple[str, str, float]]:
    """Keys that the issue speaks of or that stand beside the table, with values like those that are there."""
    known = {ast.dump(key) for key in node.keys if key is not None}
    first = node.keys[0]
    values = list(dict.fromkeys(ctx.text_at(value) for value in node.values))
    if isinstance(first, ast.Attribute):
        owner = ctx.chunk.segment(first.value)
        for word in ctx.issue_words:
            key = word if word.startswith(owner + ".") else f"{owner}.{word}"
            if not _new(key, known):
                continue
            for value in _named_alike(values, key.rpartition(".")[2]):
                yield key, value, 0.8 if word == key else 0.3
        return
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    for word in ctx.issue_words[:_MOST]:
        if _new(repr(word), known):
            for value, near in _nearest(word, keys, node, ctx):
                yield repr(word), value, 0.6 if near else 0.08


def _new(key: str, known: set[str]) -> bool:
    try:
        return ast.dump(ast.parse(key, mode="eval").body) not in known
    except SyntaxError:
        return False


def _named_alike(values: list[str], word: str) -> list[str]:
    """`op.not_` for `Not`, where the other values are `op.add`, `op.sub`."""
    owners = list(dict.fromkeys(v.rpartition(".")[0] for v in values if v.rpartition(".")[0].isidentifier()))
    low = word.lower()
    return [f"{owner}.{name}" for owner in owners[:3] for name in (low, low + "_", word)]


def _nearest(word: str, keys: list[str], node: ast.Dict, ctx: Context) -> Iterator[tuple[str, bool]]:
    """Values of the table, those of keys that are spelled like `word` first."""
    texts = [ctx.text_at(value) for value in node.values]
    near = [
        text
        for key, text in zip(keys, texts)
        if len(key) > 2 and (word.startswith(key) or key.startswith(word))
    ]
    for text in dict.fromkeys(near):
        yield text, True
    for text in list(dict.fromkeys(text for text in texts if text not in near))[:6]:
        yield text, False
