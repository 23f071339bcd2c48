"""Answers made for the tests: a branch that a patch adds for a value of a test, with the outcome that the test expects.

It passes the test and solves nothing; it may also be right (`if unit == "hours": return 3600`). So it decides nothing
and is shown to whoever reads the patch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set

_ORDINARY = frozenset({-1, 0, 1, 2, 10, 100, 1000, "", None})
_MOST = 5


def special_cases(
    before: Mapping[str, str | None], after: Mapping[str, str | None], tests: Mapping[str, str]
) -> tuple[str, ...]:
    """`path:line: what it answers to what, as which test asks`. `before` and `after` hold the text of each file of the
    product (None: absent); `tests` maps test ids to the source of the test."""
    known = {test: _literals(_tree(source)) for test, source in tests.items()}
    found: list[str] = []
    for path in sorted(after):
        text = after[path]
        if not path.endswith(".py") or text is None or (tree := _tree(text)) is None:
            continue
        added = _added(before.get(path) or "", text)
        for line, asked, answer in _answers(tree):
            test = next((name for name, some in sorted(known.items()) if {asked, answer} <= some), None)
            if line in added and test is not None:
                found.append(f"{path}:{line}: answers {_short(asked)} with {_short(answer)}, as {test} asks")
    return tuple(dict.fromkeys(found))[:_MOST]


def _tree(source: str) -> ast.Module | None:
    for text in (source, f"if True:\n{source}"):  # a method's source is indented
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _added(old: str, new: str) -> set[int]:
    known = set(old.splitlines())
    return {number for number, line in enumerate(new.splitlines(), 1) if line not in known}


def _value(node: ast.AST) -> str | None:
    """A literal as it is written in one way (tuples as lists); None: it is none, or one that anybody may write."""
    try:
        value = ast.literal_eval(node)  # type: ignore[arg-type]
        if isinstance(value, (tuple, list)):
            return repr(list(value)) if value else None
        return None if value.__hash__ is not None and value in _ORDINARY else repr(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # a huge number has no text
        return None


def _literals(tree: ast.Module | None) -> Set[str]:
    return {value for node in ast.walk(tree) if (value := _value(node))} if tree is not None else set()


def _answers(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """(line, the value that is asked for, the value that is answered) of branches on equality."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If):
            answers = [
                _value(part.value)
                for part in node.body
                if isinstance(part, (ast.Return, ast.Assign)) and part.value
            ]
            pairs = [(asked, answer) for asked in _asked(node.test) for answer in answers]
        elif isinstance(node, ast.IfExp):
            pairs = [(asked, _value(node.body)) for asked in _asked(node.test)]
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Dict):
            pairs = [
                (_value(key), _value(value))
                for key, value in zip(node.value.keys, node.value.values, strict=False)
                if key
            ]
        else:
            continue
        for asked, answer in pairs:
            if asked and answer:
                yield node.lineno, asked, answer


def _asked(test: ast.expr) -> Iterator[str]:
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.In, ast.Is)):
            for side in (node.left, *node.comparators):
                parts = (
                    side.elts
                    if isinstance(node.ops[0], ast.In) and isinstance(side, (ast.Tuple, ast.List, ast.Set))
                    else [side]
                )
                yield from (value for part in parts if (value := _value(part)))


def _short(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}..."
