"""What localisation found, joined with the hints of the issue text and cut to chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence, Tuple

from .at_import import lines_behind
from .chunk import Chunk, SourceFile

if TYPE_CHECKING:
    from .shapes import Hints, Seen

Line = Tuple[str, int]


class Spectrum:
    def __init__(
        self,
        scores: dict[Line, float],
        types: dict[Line, dict[str, list[str]]],
        attributes: dict[str, list[str]],
    ) -> None:
        self.scores = scores
        self.types = types
        self.attributes = attributes
        self.errors: list[str] = []
        """Names of the exceptions that ended the failing tests."""

    @classmethod
    def of(cls, seen: Seen | None, files: dict[str, SourceFile]) -> Spectrum:
        """From a child's answer; flat over all loaded files when it did not come to an end."""
        if not seen or not seen["scores"]:
            flat = {
                (path, line): 0.1
                for path, file in files.items()
                for chunk in file.chunks
                for line in range(chunk.first_line, chunk.last_line)
            }
            return cls(flat, {}, {})
        scores = {(path, line): score for path, line, score in seen["scores"] if path in files}
        types = {(path, line): names for path, line, names in seen["types"]}
        return cls(scores, types, seen["attributes"])

    def steer(self, hints: Hints, files: dict[str, SourceFile]) -> None:
        """Raise what the issue names: lines of a traceback, files, functions."""
        lines = {(path, line) for path, line in hints.get("lines", ())}
        functions, paths = set(hints.get("functions", ())), set(hints.get("files", ()))
        for path, line in list(self.scores):
            factor = 1.5 if path in paths else 1.0
            chunk = files[path].chunk_at(line)
            name = getattr(chunk.function, "name", "") if chunk is not None else ""
            if name in functions:
                factor *= 1.6
            if any(path == p and abs(line - at) <= 1 for p, at in lines):
                factor *= 1.6
            self.scores[(path, line)] *= factor

    def follow_names(self, tests: Sequence[str], files: dict[str, SourceFile]) -> None:
        """Raise the functions and files that the failing tests are named after (naming conventions link tests
        to code under test, White et al. 2020)."""
        names = {test.split("::")[-1].split("[")[0].split(".")[-1].lower().strip("_") for test in tests}
        names = {name[4:].strip("_") if name.startswith("test") else name for name in names}
        modules = {test.split("::")[0].rpartition("/")[2].lower() for test in tests}
        for path, line in list(self.scores):
            chunk = files[path].chunk_at(line)
            name = (getattr(chunk.function, "name", "") if chunk is not None else "").lower().strip("_")
            factor = 1.0
            if name in names:
                factor = 2.0
            elif len(name) > 3 and any(f"_{name}_" in f"_{other}_" for other in names):
                factor = 1.4
            if f"test_{path.rpartition('/')[2].lower()}" in modules:
                factor *= 1.2
            self.scores[(path, line)] *= factor

    def add_module_level(self, files: dict[str, SourceFile]) -> None:
        """Lines run at import time that a covered function depends on."""
        best = max(self.scores.values(), default=0.1)
        covered: dict[str, set[int]] = {}
        for path, line in self.scores:
            covered.setdefault(path, set()).add(line)
        for at in lines_behind(files, covered):
            self.scores.setdefault(at, 0.4 * best)

    def add_named(self, names: Sequence[str], files: dict[str, SourceFile]) -> None:
        """Heads of functions that the failing tests name and never reach: what they are declared as may be wrong."""
        best = max(self.scores.values(), default=0.1)
        wanted = {name for name in names if not name.startswith("__")}
        for path, file in files.items():
            for chunk in file.chunks:
                if getattr(chunk.function, "name", "") in wanted:
                    self.scores.setdefault((path, chunk.line(chunk.function)), 0.3 * best)

    def confine(self, within: Mapping[str, Sequence[Sequence[int]]]) -> None:
        """Forget the lines outside of these."""
        spans = [(path, span[0], span[1]) for path, part in within.items() for span in part]
        self.scores = {
            (path, line): score
            for (path, line), score in self.scores.items()
            if any(path == p and first <= line <= last for p, first, last in spans)
        }

    def ranked(self) -> list[Line]:
        return sorted(self.scores, key=lambda line: (-self.scores[line], line))

    def types_of(self, chunk: Chunk) -> dict[str, list[str]]:
        merged: dict[str, list[str]] = {}
        for (path, line), names in sorted(self.types.items()):
            if path == chunk.path and (chunk.whole or chunk.first_line <= line <= chunk.last_line):
                for name, kinds in names.items():
                    known = merged.setdefault(name, [])
                    known.extend(kind for kind in kinds if kind not in known)
        return merged
