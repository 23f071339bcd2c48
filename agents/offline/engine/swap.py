"""Swap: put a mutated function into the running process.

The code objects of live functions are exchanged in place, so every name bound to them, in whatever module,
decorator or class, sees the mutant, and identity is kept. What cannot be expressed so (module or class
level, signatures, another set of free variables) raises `NeedsFreshImport`.
"""

from __future__ import annotations

import gc
import os
import types
from collections.abc import Iterator, Sequence
from typing import List, Tuple

from .chunk import Chunk, SourceFile, future_flags

Undo = List[Tuple[types.FunctionType, types.CodeType]]


class NeedsFreshImport(Exception):
    """The candidate cannot be swapped into the running process."""


class Swapper:
    def __init__(self, root: str, files: dict[str, SourceFile]) -> None:
        self.files = files
        self.flags = {path: future_flags(file.tree) for path, file in files.items()}
        self._real = {os.path.realpath(os.path.join(root, path)): path for path in files}
        self._names: dict[str, str | None] = {}
        self._base: dict[tuple[str, int, bool], types.CodeType] = {}
        self.live: dict[tuple[str, int, str], list[types.FunctionType]] = {}

    def index(self) -> None:
        """Find the live functions of the editable files; call again when modules were imported."""
        self.live = {}
        for thing in gc.get_objects():
            if type(thing) is types.FunctionType:
                code = thing.__code__
                path = self.path_of(code.co_filename)
                if path is not None:
                    self.live.setdefault((path, code.co_firstlineno, code.co_name), []).append(thing)

    def path_of(self, filename: str) -> str | None:
        """Repository path of a code object's file, None for files that may not be edited."""
        if filename not in self._names:
            self._names[filename] = self._real.get(os.path.realpath(filename))
        return self._names[filename]

    def compile(self, chunk: Chunk, base: Chunk) -> types.CodeType:
        """Code of the chunk's function. Raises: SyntaxError and what else the compiler raises."""
        text = chunk.compiled_text()
        code = compile(text, chunk.path, "exec", self.flags[chunk.path], True)
        for header in base.headers:
            if header.lstrip().startswith("class "):
                code = _named(code, header.strip()[6:-1])
        name = base.function.name  # type: ignore[attr-defined]
        return _named(code, name)

    def apply(self, base: Chunk, new: Chunk) -> Undo:
        """Exchange the code of live functions. Raises: NeedsFreshImport, SyntaxError."""
        if base.whole:
            raise NeedsFreshImport
        head = base.span(base.function.body[0])[0]  # type: ignore[attr-defined]
        head = base.data.rfind(b"\n", 0, head) + 1
        if base.data[:head] != new.data[:head]:
            raise NeedsFreshImport
        old = self._base.get(base.key)
        if old is None:
            old = self._base[base.key] = self.compile(base, base)
        code = self.compile(new, base)
        undo: Undo = []
        found = False
        for index, (one, two) in enumerate(_pairs(old, code)):
            functions = self.live.get((base.path, one.co_firstlineno, one.co_name), ())
            for function in functions:
                if one.co_name == "<lambda>" and function.__code__ != one:
                    continue
                try:
                    before = function.__code__
                    function.__code__ = two
                except ValueError as error:
                    restore(undo)
                    raise NeedsFreshImport from error
                undo.append((function, before))
                found = found or index == 0
        if not found:
            restore(undo)
            raise NeedsFreshImport
        return undo


def restore(undo: Sequence[tuple[types.FunctionType, types.CodeType]]) -> None:
    for function, code in reversed(undo):
        function.__code__ = code


def _named(code: types.CodeType, name: str) -> types.CodeType:
    for const in code.co_consts:
        if isinstance(const, types.CodeType) and const.co_name == name:
            return const
        if isinstance(const, types.CodeType) and const.co_name.startswith("<generic parameters"):
            return _named(const, name)
    raise SyntaxError(f"no code object named {name}")


def _pairs(old: types.CodeType, new: types.CodeType) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    """Matching code objects of two versions: the function, then nested ones by name and order."""
    yield old, new
    ours: dict[str, list[types.CodeType]] = {}
    for const in new.co_consts:
        if isinstance(const, types.CodeType):
            ours.setdefault(const.co_name, []).append(const)
    seen: dict[str, int] = {}
    for const in old.co_consts:
        if isinstance(const, types.CodeType):
            nth = seen.get(const.co_name, 0)
            seen[const.co_name] = nth + 1
            if nth < len(ours.get(const.co_name, ())):
                yield from _pairs(const, ours[const.co_name][nth])
