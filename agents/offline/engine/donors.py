"""Donors: what a file offers to its own functions: calls, checks, names, exceptions, strings. Read once per file."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING, Dict, FrozenSet, List, NamedTuple

if TYPE_CHECKING:
    from .chunk import SourceFile

_MOST_CHECKS = 60


class WrittenCall(NamedTuple):
    """A call as it is written. `names`: what its arguments read."""

    positional: List[str]
    keywords: Dict[str, str]
    names: FrozenSet[str]
    starred: bool


class Check(NamedTuple):
    """Complete lines of a guard, or of a call for its effect."""

    text: str
    indent: int
    names: FrozenSet[str]


class Donors:
    """What `file` has to give."""

    def __init__(self, file: "SourceFile") -> None:
        self._lines = file.data.split(b"\n")
        self.calls: Dict[str, List[WrittenCall]] = {}
        self.checks: List[Check] = []
        self.exceptions: List[str] = []
        self.strings: List[str] = []
        self.displays: List[List[str]] = []
        self.globals = names_bound(file.tree)
        self.modules = modules_bound(file.tree)
        self.unary: List[str] = []
        self.functions: Dict[str, List[ast.FunctionDef]] = {}
        for node in ast.walk(file.tree):
            self._take(node)
        self.exceptions = list(dict.fromkeys(self.exceptions))
        self.strings = list(dict.fromkeys(self.strings))
        self.checks = list({check.text.strip(): check for check in self.checks}.values())[:_MOST_CHECKS]

    def _take(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, (ast.If, ast.Expr)):
            self._check(node)
        elif isinstance(node, ast.ExceptHandler) and node.type is not None:
            self.exceptions += list(_names(node.type, self.text))
        elif isinstance(node, ast.Raise) and node.exc is not None:
            self.exceptions += list(
                _names(node.exc.func if isinstance(node.exc, ast.Call) else node.exc, self.text)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= 24:
            self.strings.append(repr(node.value))
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)) and 1 < len(node.elts) <= 40:
            if all(isinstance(item, (ast.Name, ast.Attribute)) for item in node.elts):
                self.displays.append([self.text(item) for item in node.elts])
        elif isinstance(node, ast.FunctionDef):
            self.functions.setdefault(node.name, []).append(node)
            required = len(node.args.args) - len(node.args.defaults)
            if node.col_offset == 0 and required <= 1 <= len(node.args.args):
                self.unary.append(node.name)

    def _call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        starred = any(isinstance(a, ast.Starred) for a in node.args) or any(not k.arg for k in node.keywords)
        texts = [self.text(a) for a in node.args]
        keywords = {k.arg: self.text(k.value) for k in node.keywords if k.arg}
        if all(len(text) <= 60 and "\n" not in text for text in (*texts, *keywords.values())):
            reads = [*node.args, *(k.value for k in node.keywords)]
            self.calls.setdefault(name, []).append(
                WrittenCall(texts, keywords, frozenset().union(*map(names_read, reads)), starred)
            )

    def _check(self, node: ast.stmt) -> None:
        if isinstance(node, ast.If):
            good = not node.orelse and len(node.body) <= 2
            good = good and isinstance(node.body[-1], (ast.Raise, ast.Return, ast.Continue))
        else:
            good = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        last = node.end_lineno or node.lineno
        if good and node.col_offset and last - node.lineno < 6:
            lines = self._lines[node.lineno - 1 : last]
            if lines[0][: node.col_offset].isspace() and not lines[0].lstrip().startswith(b"elif"):
                text = b"\n".join(lines).decode("utf-8", "surrogateescape") + "\n"
                self.checks.append(Check(text, node.col_offset, names_read(node)))

    def text(self, node: ast.AST) -> str:
        """Source of an expression."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1  # type: ignore[attr-defined]
        lines = self._lines[first : last + 1]
        lines[-1] = lines[-1][: node.end_col_offset]  # type: ignore[attr-defined]
        lines[0] = lines[0][node.col_offset :]  # type: ignore[attr-defined]
        return b"\n".join(lines).decode("utf-8", "surrogateescape")


def names_read(node: ast.AST) -> FrozenSet[str]:
    """Names that an expression or a statement reads, builtins left out."""
    found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return frozenset(name for name in found if not hasattr(builtins, name))


def names_bound(tree: ast.Module) -> FrozenSet[str]:
    """Names that a module binds at its top."""
    found: List[str] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        else:
            found += [
                n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            ]
    return frozenset(found)


def modules_bound(tree: ast.Module) -> FrozenSet[str]:
    """Names by which `import` statements bind modules."""
    imports = [alias for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    return frozenset((alias.asname or alias.name).partition(".")[0] for alias in imports)


def _names(node: ast.AST, text: object) -> Iterator[str]:
    for item in node.elts if isinstance(node, ast.Tuple) else [node]:
        if isinstance(item, ast.Name) and item.id[:1].isupper():
            yield item.id
