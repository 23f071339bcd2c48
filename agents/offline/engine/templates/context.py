"""What a template sees: the chunk, the names in scope with their runtime types, and the reusable pieces."""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..chunk import Chunk, SourceFile
from ..donors import Check, WrittenCall
from .kinds import base, elements, fits, kind_of
from .precedence import level, needed
from .usage import NameUsage, numbers_said, usage

if TYPE_CHECKING:
    from ..shapes import Hints

_INGREDIENTS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.BinOp, ast.UnaryOp)


class Edit(NamedTuple):
    """One mutant of a chunk."""

    text: str
    """The chunk's new text."""
    template: str
    prior: float
    line: int
    """Line of the file that the edit is about; its suspiciousness multiplies the prior."""


class Context:
    """Everything about one chunk that templates share; built once per chunk text."""

    def __init__(
        self,
        chunk: Chunk,
        types: dict[str, list[str]],
        module_names: Iterable[str] = (),
        attributes: dict[str, list[str]] | None = None,
        hints: Hints | None = None,
        lines: Iterable[int] | None = None,
        file: SourceFile | None = None,
        errors: Iterable[str] = (),
    ) -> None:
        self.chunk = chunk
        self.types = types
        self.module_names = list(module_names)
        self.attributes = attributes or {}
        hints = hints or {}
        self.hints = hints.get("words", {})
        self.issue_words = hints.get("names", [])
        self.issue_numbers = hints.get("numbers", [])
        self.lines = set(lines) if lines is not None else None
        self.file = file
        self.errors = [name for name in errors if name.isidentifier() and name not in ("Stop", "Failed")]
        self.root = chunk.function
        self.nodes: list[ast.AST] = list(self._walk(self.root))
        decorators = [] if chunk.whole else getattr(self.root, "decorator_list", [])
        self.decorators = [node for decorator in decorators for node in self._walk(decorator)]
        self._prepare()
        self._donate()

    def _donate(self) -> None:
        """What the rest of the file offers."""
        donors = self.file.donors if self.file is not None else None
        self.file_strings: list[str] = donors.strings if donors else []
        self.file_exceptions: list[str] = donors.exceptions if donors else []
        self.file_checks: list[Check] = donors.checks if donors else []
        self.unary_functions: list[str] = donors.unary if donors else []
        self.displays: list[list[str]] = donors.displays if donors else []
        self.modules = donors.modules if donors else frozenset()
        self.reachable = {*self.bound, "self", "cls", *(donors.globals if donors else ())}
        attributes = [text for text in self.pool if text.startswith("self.") and text.count(".") == 1]
        owner = next(iter(self.types.get("self", [])), "")
        known = [f"self.{name}" for name in self.attributes.get(owner, [])]
        self.own_attributes = list(dict.fromkeys(attributes + known)) if "self" in self.bound else []

    @property
    def other_functions(self) -> list[Chunk]:
        if self.file is None or self.chunk.whole or len(self.file.chunks) > 400:
            return []
        return [chunk for chunk in self.file.chunks if chunk.start != self.chunk.start]

    @staticmethod
    def called(node: ast.Call) -> str:
        """The last part of the name of what is called."""
        return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")

    def calls_of(self, name: str) -> list[WrittenCall]:
        return self.file.donors.calls.get(name, [])[:40] if self.file is not None and name else []

    def file_names(self, items: list[ast.expr]) -> list[str]:
        """Names of displays of this file that share an element with `items`."""
        own = {self.chunk.segment(item) for item in items}
        found = [text for display in self.displays if own & set(display) for text in display]
        return [text for text in dict.fromkeys(found) if text not in own]

    def _walk(self, root: ast.AST) -> Iterator[ast.AST]:
        """Nodes to mutate, in source order: no annotations, decorators or docstrings."""
        stack = [root]
        while stack:
            node = stack.pop()
            yield node
            children: list[ast.AST] = []
            for name, value in ast.iter_fields(node):
                if name in ("annotation", "returns", "decorator_list", "type_params", "type_comment"):
                    continue
                if isinstance(node, ast.JoinedStr):
                    continue  # positions inside f-strings are wrong before Python 3.12
                for child in value if isinstance(value, list) else [value]:
                    if not isinstance(child, ast.AST) or not hasattr(child, "parent"):
                        continue
                    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                        continue
                    if self.chunk.whole and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                        continue
                    children.append(child)
            stack.extend(reversed(children))

    def _prepare(self) -> None:
        chunk, whole = self.chunk, self.chunk.whole
        bound: dict[str, int] = {}
        for node in self.nodes:
            if isinstance(node, ast.arg):
                bound.setdefault(node.arg, chunk.line(node))
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.setdefault(node.id, chunk.line(node))
        self.bound = bound
        self.calls = Counter(chunk.segment(n.func) for n in self.nodes if isinstance(n, ast.Call))
        self.args = [n.arg for n in self.nodes if isinstance(n, ast.arg) and n.arg not in ("self", "cls")]
        self.locals = [n for n in bound if n not in ("self", "cls") and n not in self.calls]
        self.attribute_names = tuple(f".{n.attr}" for n in self.nodes if isinstance(n, ast.Attribute))
        constants = [(chunk.segment(n), n) for n in self.nodes if isinstance(n, ast.Constant)]
        self.numbers = list(dict.fromkeys(text for text, n in constants if type(n.value) in (int, float)))
        self.strings = list(dict.fromkeys(text for text, n in constants if isinstance(n.value, str)))
        self.places: dict[str, list[ast.AST]] = {}
        """Constants of the chunk by their source text."""
        for text, node in () if whole else constants:
            self.places.setdefault(text, []).append(node)
        self.doc = "" if whole else ast.get_docstring(self.root) or ""  # type: ignore[arg-type]
        self.said_numbers = numbers_said(self.doc, self.issue_numbers)
        self.usage = NameUsage((), (), ()) if whole else usage(self.root, self.nodes)
        self.pool: dict[str, tuple[str | None, int, int]] = {}
        for node in self.nodes:
            if isinstance(node, _INGREDIENTS) and node is not self.root:
                self._pool(node)

    def _pool(self, node: ast.expr) -> None:
        """Keep an expression that may be used elsewhere: its kind, how often it is there, how it binds."""
        if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
            return
        if isinstance(node.parent, ast.Call) and node.slot == "func":  # type: ignore[attr-defined]
            return
        text = self.chunk.segment(node)
        if len(text) <= 40 and "\n" not in text:
            count = self.pool[text][1] if text in self.pool else 0
            self.pool[text] = (self.kind(node), count + 1, level(node))

    def active(self, node: ast.AST) -> bool:
        """Whether the failing tests reached the node's line (multi-line expressions count by their statement)."""
        if self.lines is None:
            return True
        line = self.chunk.line(node)
        if line in self.lines:
            return True
        stmt: ast.AST | None = node
        while stmt is not None and not isinstance(stmt, ast.stmt):
            stmt = getattr(stmt, "parent", None)
        return stmt is not None and hasattr(stmt, "lineno") and self.chunk.line(stmt) in self.lines

    def kind(self, node: ast.AST) -> str | None:
        """The type of an expression as far as the recorded types and the syntax tell."""
        return kind_of(node, self.types)

    def same_kind(self, kind: str | None, skip: str = "") -> list[str]:
        """Local names that fit `kind`, known matches first."""
        exact, unknown = [], []
        for name in self.locals:
            if name == skip:
                continue
            known = self.types.get(name)
            if known is None or kind is None:
                unknown.append(name)
            elif any(fits(kind, k) and (k != "NoneType") for k in known):
                exact.append(name)
        return exact + unknown

    def edit(self, node: ast.AST, text: str, template: str, prior: float) -> Edit | None:
        """Replace an expression, with parentheses where precedence asks for them."""
        start, end = self.chunk.span(node)
        if self.chunk.data[start:end] == text.encode("utf-8", "surrogateescape"):
            return None
        data = self.chunk.data
        if not (data[start - 1 : start] == b"(" and data[end : end + 1] == b")"):
            try:
                new = ast.parse(text, mode="eval").body
            except (SyntaxError, ValueError):
                return None
            if level(new) < needed(node) or (
                needed(node) == 16 and isinstance(new, ast.Constant) and not isinstance(new.value, str)
            ):
                text = f"({text})"
        return Edit(self.chunk.replace((start, end, text)), template, prior, self.chunk.line(node))

    def raw(self, start: int, end: int, text: str, node: ast.AST, template: str, prior: float) -> Edit:
        return Edit(self.chunk.replace((start, end, text)), template, prior, self.chunk.line(node))

    def text_at(self, node: ast.AST, tight: int = 0) -> str:
        """Source of an expression, parenthesised when it binds less than `tight`."""
        text = self.chunk.segment(node)
        if "\n" in text:
            text = re.sub(r"\s*\n\s*", " ", text)
        return f"({text})" if level(node) < tight else text

    def is_builtin(self, name: str) -> bool:
        return hasattr(builtins, name)


__all__ = ["Context", "Edit", "base", "elements", "fits", "level", "needed"]
