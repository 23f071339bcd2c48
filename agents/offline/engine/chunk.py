"""Chunk: one outermost function of a source file, the unit that is mutated, compiled and swapped."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .donors import Donors

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Change(NamedTuple):
    """Bytes `start` to `end` of a chunk replaced. Candidates hold these, for a chunk may be large and they are many."""

    start: int
    end: int
    new: str


class Chunk:
    """A piece of a file with its own tree.

    `headers` are stub lines (`class A:`) that give a method its nesting when it is compiled alone;
    `first_line` is the 1-based line of the file at which `text` starts. With `whole` the piece is the
    complete file and only nodes outside functions are mutated (such an edit needs a fresh import).
    """

    def __init__(
        self,
        path: str,
        text: str,
        first_line: int,
        start: int,
        headers: tuple[str, ...] = (),
        whole: bool = False,
    ) -> None:
        self.path = path
        self.text = text
        self.first_line = first_line
        self.start = start
        self.headers = headers
        self.whole = whole
        self.data = text.encode("utf-8", "surrogateescape")
        self._tree: ast.Module | None = None
        self._lines: list[int] = []

    @property
    def key(self) -> tuple[str, int, bool]:
        return (self.path, self.start, self.whole)

    @property
    def last_line(self) -> int:
        return self.first_line + self.text.count("\n")

    def with_text(self, text: str) -> Chunk:
        """The same place with other contents."""
        return Chunk(self.path, text, self.first_line, self.start, self.headers, self.whole)

    @property
    def tree(self) -> ast.Module:
        """Syntax tree with `parent` and `slot` set on every node. Raises: SyntaxError."""
        if self._tree is None:
            head = "".join(line + "\n" for line in self.headers)
            tree = ast.parse(head + self.text)
            for node in ast.walk(tree):
                for name, value in ast.iter_fields(node):
                    for child in value if isinstance(value, list) else [value]:
                        if isinstance(child, ast.AST) and not isinstance(
                            child, (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
                        ):
                            child.parent = node  # type: ignore[attr-defined]
                            child.slot = name  # type: ignore[attr-defined]
            offset, self._lines = 0, []
            for line in self.data.split(b"\n"):
                self._lines.append(offset)
                offset += len(line) + 1
            self._tree = tree
        return self._tree

    @property
    def function(self) -> ast.AST:
        """The function itself (or the module, for a whole file)."""
        node: ast.AST = self.tree
        if self.whole:
            return node
        for _ in range(len(self.headers) + 1):
            node = node.body[0]  # type: ignore[attr-defined]
        return node

    def line(self, node: ast.AST) -> int:
        """1-based line of the file."""
        return node.lineno - len(self.headers) + self.first_line - 1  # type: ignore[attr-defined]

    def offset(self, lineno: int, col: int) -> int:
        return self._lines[lineno - 1 - len(self.headers)] + col

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Byte offsets of a node within the chunk's text."""
        start = self.offset(node.lineno, node.col_offset)  # type: ignore[attr-defined]
        end = self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        return start, end

    def segment(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.data[start:end].decode("utf-8", "surrogateescape")

    def line_span(self, node: ast.AST) -> tuple[int, int]:
        """Byte offsets of the complete lines of a statement, decorators included."""
        first = min([node.lineno] + [d.lineno for d in getattr(node, "decorator_list", [])])  # type: ignore[attr-defined]
        start = self.offset(first, 0)
        stop = node.end_lineno - len(self.headers)  # type: ignore[attr-defined]
        end = self._lines[stop] if stop < len(self._lines) else len(self.data)
        return start, end

    def owns_lines(self, node: ast.stmt) -> bool:
        """Whether nothing else shares the lines of this statement (`if a: b`, `a; b`)."""
        start, end = self.line_span(node)
        first, last = self.span(node)
        before = self.data[start:first]
        after = self.data[last:end].split(b"#")[0]
        return (not before.strip() or bool(getattr(node, "decorator_list", None))) and not after.strip()

    def replace(self, *spans: tuple[int, int, str]) -> str:
        """The text with byte spans replaced; spans must not overlap."""
        data = self.data
        for start, end, new in sorted(spans, reverse=True):
            data = data[:start] + new.encode("utf-8", "surrogateescape") + data[end:]
        return data.decode("utf-8", "surrogateescape")

    def changed(self, text: str) -> Change:
        """The smallest change that makes the chunk's text this one."""
        new = text.encode("utf-8", "surrogateescape")
        start = _common(self.data, new)
        most = min(len(self.data), len(new)) - start
        end = _common(self.data[::-1][:most], new[::-1][:most])
        middle = new[start : len(new) - end].decode("utf-8", "surrogateescape")
        return Change(start, len(self.data) - end, middle)

    def compiled_text(self) -> str:
        """Source to compile so that line numbers and qualified names are those of the file."""
        padding = self.first_line - 1 - len(self.headers)
        return "\n" * max(padding, 0) + "".join(line + "\n" for line in self.headers) + self.text


class SourceFile:
    """A file of the repository, cut into chunks."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.data = text.encode("utf-8", "surrogateescape")
        self.tree = ast.parse(text)
        self.chunks: list[Chunk] = list(self._cut())
        self.whole = Chunk(path, text, 1, 0, (), True)
        self._donors: Donors | None = None

    @property
    def donors(self) -> Donors:
        """What this file offers to its own functions."""
        if self._donors is None:
            from .donors import Donors

            self._donors = Donors(self)
        return self._donors

    def _cut(self) -> Iterator[Chunk]:
        offsets = [0]
        for line in self.data.split(b"\n"):
            offsets.append(offsets[-1] + len(line) + 1)
        stack: list[tuple[ast.AST, tuple[str, ...]]] = [(self.tree, ())]
        while stack:
            node, headers = stack.pop()
            for child in ast.iter_child_nodes(node):
                if isinstance(child, _FUNCTIONS):
                    first = min([child.lineno] + [d.lineno for d in child.decorator_list])
                    start, end = offsets[first - 1], min(offsets[child.end_lineno or first], len(self.data))
                    text = self.data[start:end].decode("utf-8", "surrogateescape")
                    if first - 1 < len(headers) or (
                        not text[: child.col_offset].isspace() and child.col_offset
                    ):
                        continue
                    yield Chunk(self.path, text, first, start, headers)
                elif isinstance(child, ast.ClassDef):
                    stack.append((child, headers + (f"{' ' * child.col_offset}class {child.name}:",)))
                elif isinstance(child, ast.stmt) and hasattr(child, "body"):
                    stack.append((child, headers + (f"{' ' * child.col_offset}if 1:",)))
                elif isinstance(child, getattr(ast, "ExceptHandler", ())):
                    stack.append((child, headers))

    def chunk_at(self, line: int) -> Chunk | None:
        for chunk in self.chunks:
            if chunk.first_line <= line < chunk.last_line + (0 if chunk.text.endswith("\n") else 1):
                return chunk
        return None

    def with_chunk(self, chunk: Chunk, text: str) -> str:
        """The file's text with `text` in the place of `chunk` (a chunk of this file)."""
        if chunk.whole:
            return text
        base = next(c for c in self.chunks if c.start == chunk.start)
        end = base.start + len(base.data)
        data = self.data[: base.start] + text.encode("utf-8", "surrogateescape") + self.data[end:]
        return data.decode("utf-8", "surrogateescape")


def _common(one: bytes, two: bytes) -> int:
    """Length of the common beginning."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == two[low:middle] else (low, middle - 1)
    return low


def future_flags(tree: ast.Module) -> int:
    """Compiler flags of the `from __future__` imports of a file."""
    import __future__

    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                feature = getattr(__future__, alias.name, None)
                flags |= feature.compiler_flag if feature else 0
    return flags


def words(text: str) -> dict[str, int]:
    """Identifiers of a text with how often they occur."""
    found: dict[str, int] = {}
    for word in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text):
        found[word] = found.get(word, 0) + 1
    return found
