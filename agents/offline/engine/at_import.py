"""What runs when a module is imported and decides what a covered function does: tables, class bodies, defaults and
decorators. No test runs these lines, so no spectrum shows them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set
from typing import Dict, FrozenSet, List, Tuple

from .chunk import SourceFile

Line = Tuple[str, int]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def lines_behind(files: Mapping[str, SourceFile], covered: Mapping[str, Set[int]]) -> List[Line]:
    """Lines of statements that bind a name which a covered function reads, in its own file or in one that it imports
    the name from; lines of the defaults and decorators of covered functions. `covered`: lines by path."""
    wanted: Dict[str, FrozenSet[str]] = {path: _read(files[path], lines) for path, lines in covered.items()}
    for path in list(covered):
        for other, names in _imported(files, path, wanted[path]):
            wanted[other] = wanted.get(other, frozenset()) | names
    found: List[Line] = []
    for path in sorted(wanted):
        found += [(path, line) for line in _bound(files[path].tree, wanted[path], covered.get(path, set()))]
    return found


def _read(file: SourceFile, lines: Set[int]) -> FrozenSet[str]:
    """Names and attributes that the covered functions of a file read."""
    chunks = {chunk.start: chunk for chunk in map(file.chunk_at, sorted(lines)) if chunk is not None}
    nodes = [node for chunk in chunks.values() for node in ast.walk(chunk.function)]
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    return frozenset(names + [node.attr for node in nodes if isinstance(node, ast.Attribute)])


def _imported(
    files: Mapping[str, SourceFile], path: str, names: FrozenSet[str]
) -> Iterator[Tuple[str, FrozenSet[str]]]:
    """Files of the repository from which names are imported that are read here."""
    for node in ast.walk(files[path].tree):
        if isinstance(node, ast.ImportFrom):
            taken = frozenset(alias.name for alias in node.names if (alias.asname or alias.name) in names)
            tail = "/".join((node.module or "__init__").split("."))
            for other in files if taken else ():
                if other != path and (other.endswith(f"/{tail}.py") or other == f"{tail}.py"):
                    yield other, taken


def _bound(tree: ast.Module, names: FrozenSet[str], covered: Set[int]) -> Iterator[int]:
    stack: List[ast.AST] = [tree]
    while stack:
        for child in ast.iter_child_nodes(stack.pop()):
            if isinstance(child, (ast.Assign, ast.AnnAssign)):
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                if any(isinstance(target, ast.Name) and target.id in names for target in targets):
                    yield from range(child.lineno, (child.end_lineno or child.lineno) + 1)
            elif isinstance(child, (ast.ClassDef, ast.If, ast.Try)):
                stack.append(child)
            elif isinstance(child, _FUNCTIONS) and any(
                statement.lineno in covered for statement in child.body
            ):
                for part in (*child.args.defaults, *child.args.kw_defaults, *child.decorator_list):
                    if part is not None:
                        yield from range(part.lineno, (part.end_lineno or part.lineno) + 1)
