"""Edits: the candidates of a set of lines, and of one more edit on a seed; none is made twice."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .candidate import Candidate, ordered
from .chunk import Change, Chunk, SourceFile
from .spectrum import Spectrum
from .templates import Context, mutants

if TYPE_CHECKING:
    from .shapes import Hints

_UNSEEN = 0.3
"""Suspicion of a line that no failing test reached."""


class Edits:
    """Makes candidates. `hints`: see `agents/offline/hints.py`."""

    def __init__(self, files: Mapping[str, SourceFile], spectrum: Spectrum, hints: Hints) -> None:
        self.files = files
        self.spectrum = spectrum
        self.hints = hints
        self.seen: set[tuple[tuple[str, int, bool], Change]] = set()

    def at_lines(self, lines: Sequence[tuple[str, int]]) -> list[Candidate]:
        """Single edits at lines (path, 1-based number), best first."""
        places: dict[tuple[str, int, bool], tuple[Chunk, set[int]]] = {}
        for path, line in lines:
            file = self.files[path]
            chunk = file.chunk_at(line) or file.whole
            places.setdefault(chunk.key, (chunk, set()))[1].add(line)
        out: list[Candidate] = []
        for chunk, active in places.values():
            out += self.of(chunk, chunk, active)
        return ordered(out)

    def of(
        self, base: Chunk, current: Chunk, active: set[int] | None, seed: Candidate | None = None
    ) -> list[Candidate]:
        """Mutants of `current` (the base chunk, or a seed's version of it)."""
        file = self.files[base.path]
        names = [n.name for n in file.tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        try:
            context = Context(
                current, self.spectrum.types_of(base), names, self.spectrum.attributes,
                self.hints, active, file, self.spectrum.errors,
            )  # fmt: skip
        except (SyntaxError, RecursionError, AttributeError):
            return []
        out = []
        for edit in mutants(context):
            change = edit.change if current is base else base.changed(current.replace(edit.change))
            if (base.key, change) in self.seen or (change.start == change.end and not change.new):
                continue
            self.seen.add((base.key, change))
            suspicion = self.spectrum.scores.get((base.path, edit.line), _UNSEEN)
            score = edit.prior * suspicion * (seed.score if seed else 1.0)
            templates = (*(seed.templates if seed else ()), edit.template)
            out.append(Candidate(((base, change),), templates, score, edit.line))
        return out
