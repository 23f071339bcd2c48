"""Examples: doctests stand in the product, so that a patch can change what it is judged by."""

from __future__ import annotations

import ast
import doctest
from collections import Counter
from collections.abc import Collection, Iterator, Mapping


def is_example(test: str) -> bool:
    """Whether an id of pytest's is that of a docstring's examples: `pkg/maths.py::pkg.maths.total`."""
    path, mark, name = test.partition("::")
    if not mark or not path.endswith(".py"):
        return False
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return any(name == part or name.startswith(f"{part}.") for part in _ends(module))


def _ends(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[at:]) for at in range(len(parts)))


def bent_examples(
    before: Mapping[str, str | None], after: Mapping[str, str | None], tests: Collection[str]
) -> tuple[str, ...]:
    """`path: what is odd` where examples that are among `tests` are no longer those of the base. New examples beside
    them are nobody's harm."""
    found: list[str] = []
    for path in sorted({test.partition("::")[0] for test in tests} & after.keys()):
        old, new = (_examples(text or "") for text in (before.get(path), after[path]))
        judging = {name for name in old if any(_is_named(test, path, name) for test in tests)}
        found += (
            f"{path}: the examples of {name or 'the module'} that judge it were changed"
            for name in sorted(judging)
            if old[name] - new.get(name, Counter())
        )
    return tuple(found)


def _is_named(test: str, path: str, name: str) -> bool:
    said = test.partition("::")[2]
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return any(said == (f"{part}.{name}" if name else part) for part in _ends(module))


def _examples(source: str) -> dict[str, Counter[tuple[str, str]]]:
    """Dotted name of what a docstring belongs to ("" for the module) -> its examples: (source, wanted output)."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return dict(_of(tree, ""))


def _of(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[tuple[str, Counter[tuple[str, str]]]]:
    text = ast.get_docstring(node) or ""
    try:
        parsed = doctest.DocTestParser().get_examples(text)
    except ValueError:
        parsed = []
    yield name, Counter((example.source.strip(), example.want.strip()) for example in parsed)
    for inner in node.body:
        if isinstance(inner, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _of(inner, f"{name}.{inner.name}".strip("."))
