"""ImportGraph: which files of a commit reach which others by imports, without importing any."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import PurePosixPath

from .facts import FileFacts, Import

_DEPTH = 8
"""Re-exports followed from package to package, at most."""


class ImportGraph:
    """Of Python files by path. An edge leads from a file to the file that defines what it imports: through the
    `__init__` files that pass a name on, relative or not, in any folder that is a root (`src`, `lib`, `tests`)."""

    def __init__(self, facts: Mapping[str, FileFacts]) -> None:
        self._facts = facts
        self._by_module: dict[str, list[str]] = {}
        self._defined_in: dict[tuple[str, str], str] = {}
        packages = {str(PurePosixPath(path).parent) for path in facts if path.endswith("__init__.py")}
        for path in facts:
            parts = PurePosixPath(path).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            for start in range(len(parts)):
                folder = "/".join(parts[:start]) or "."
                if folder not in packages:
                    self._by_module.setdefault(".".join(parts[start:]), []).append(path)

    @cached_property
    def edges(self) -> dict[str, frozenset[str]]:
        """File → files whose code it asks for."""
        return {path: frozenset(self._targets(path)) for path in self._facts}

    @cached_property
    def importers(self) -> dict[str, set[str]]:
        """The edges, turned."""
        return _turned(self.edges)

    @cached_property
    def _loaders(self) -> dict[str, set[str]]:
        """File → files that cause it to be loaded, packages' `__init__` files included."""
        loads = {path: set(found) | set(self._inits(path, found)) for path, found in self.edges.items()}
        return _turned(loads)

    def distances(self, changed: Iterable[str], most: int = 6) -> dict[str, int]:
        """File → imports between it and the nearest changed file (0: one of them), up to `most`."""
        return _walk(self.importers, changed, most)

    def reaching(self, changed: Iterable[str]) -> set[str]:
        """Every file whose import loads one of the changed ones, over any distance."""
        return set(_walk(self._loaders, changed, len(self._facts)))

    def module(self, dotted: str, near: str = "") -> str | None:
        """The file of a module; where several have its name, the one nearest to the file `near`."""
        found = self._by_module.get(dotted)
        if not found:
            return None
        return max(
            found, key=lambda path: (_shared(path, near), path.endswith("__init__.py"), -len(path), path)
        )

    def _targets(self, path: str) -> set[str]:
        facts, found = self._facts[path], set[str]()
        for asked in facts.imports:
            found |= self._asked(path, asked)
        for dotted in facts.dotted:
            found |= self._dotted(path, dotted)
        if facts.dynamic:
            folder = f"{PurePosixPath(path).parent}/"
            found |= {other for other in self._facts if other.startswith(folder)}
        found |= set(self._conftests(path))
        found.discard(path)
        return found

    def _asked(self, path: str, asked: Import) -> set[str]:
        if not asked.names:
            return self._dotted(path, asked.module)
        base = self._base(path, asked)
        found = set[str]()
        for name, _ in asked.names:
            target = self._submodule(path, asked, name)
            if target is None and base is not None:
                target = self._defining(base, name, _DEPTH) if name != "*" else base
            if target is not None:
                found.add(target)
        return found

    def _dotted(self, path: str, dotted: str) -> set[str]:
        """A module, or a name in one, by its full name."""
        target = self.module(dotted, path)
        if target is None and "." in dotted:
            module, _, name = dotted.rpartition(".")
            parent = self.module(module, path)
            target = self._defining(parent, name, _DEPTH) if parent else None
        return {target} if target else set()

    def _base(self, path: str, asked: Import) -> str | None:
        if not asked.level:
            return self.module(asked.module, path)
        return self._relative(path, asked.level, asked.module)

    def _submodule(self, path: str, asked: Import, name: str) -> str | None:
        inner = f"{asked.module}.{name}".strip(".")
        return self._relative(path, asked.level, inner) if asked.level else self.module(inner, path)

    def _relative(self, path: str, level: int, dotted: str) -> str | None:
        folders = path.split("/")[:-level]
        place = "/".join([*folders, *dotted.split(".")] if dotted else folders)
        return next((p for p in (f"{place}.py", f"{place}/__init__.py") if p in self._facts), None)

    def _defining(self, path: str, name: str, depth: int) -> str:
        """Where a name that can be imported from `path` is defined; `path` itself when nobody says."""
        key = (path, name)
        if key not in self._defined_in:
            self._defined_in[key] = self._follow(path, name, depth)
        return self._defined_in[key]

    def _follow(self, path: str, name: str, depth: int) -> str:
        facts = self._facts[path]
        if depth == 0 or name in facts.defines:
            return path
        stars: list[str] = []
        for asked in facts.imports:
            for there, here in asked.names:
                if here == name:
                    target = self._submodule(path, asked, there) or self._base(path, asked)
                    if target is None or target == path:
                        return path
                    module = target == self._submodule(path, asked, there)
                    return target if module else self._defining(target, there, depth - 1)
                if there == "*" and (base := self._base(path, asked)) is not None and base != path:
                    stars.append(base)
        for base in stars:
            found = self._defining(base, name, depth - 1)
            if found != base or name in self._facts[base].defines:
                return found
        return path

    def _conftests(self, path: str) -> list[str]:
        """The conftest files that pytest loads for a test file, whose fixtures it may use unimported."""
        parents = PurePosixPath(path).parents if self._facts[path].tests else ()
        names = (str(folder / "conftest.py") for folder in parents)
        return [name for name in names if name in self._facts]

    def _inits(self, path: str, targets: Iterable[str]) -> list[str]:
        folders = {folder for target in (path, *targets) for folder in PurePosixPath(target).parents}
        names = (str(folder / "__init__.py") for folder in folders)
        return [name for name in names if name in self._facts]


def _turned(edges: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    turned: dict[str, set[str]] = {}
    for path, targets in edges.items():
        for target in targets:
            turned.setdefault(target, set()).add(path)
    return turned


def _walk(importers: Mapping[str, set[str]], changed: Iterable[str], most: int) -> dict[str, int]:
    distance = dict.fromkeys(changed, 0)
    queue = deque(distance)
    while queue:
        path = queue.popleft()
        if distance[path] == most:
            continue
        for importer in importers.get(path, ()):
            if importer not in distance:
                distance[importer] = distance[path] + 1
                queue.append(importer)
    return distance


def _shared(path: str, near: str) -> int:
    """Leading folders that two paths share."""
    count = 0
    for a, b in zip(PurePosixPath(path).parts, PurePosixPath(near).parts, strict=False):
        if a != b:
            break
        count += 1
    return count
