"""The engine runs on the repository's own Python, from 3.8 on: no type is subscripted while it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import swe_agent.agents.offline.engine as engine

ROOT = Path(engine.__file__).parent
BUILT_IN = {"dict", "list", "tuple", "set", "frozenset", "type"}


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that is evaluated while the module runs (annotations are not)."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from _evaluated(child)


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_type_is_subscripted_while_it_runs(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in ("collections.abc", "collections")
        for alias in node.names
    }
    found = [
        f"{path.name}:{node.lineno}"
        for node in _evaluated(tree)
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in BUILT_IN | imported
    ]
    assert not found
