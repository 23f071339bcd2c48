"""Candidate: one or two mutated chunks, with where it stands in the order."""

from __future__ import annotations

from typing import Any, NamedTuple

from .chunk import Chunk, SourceFile


class Candidate(NamedTuple):
    edits: tuple[tuple[Chunk, str], ...]
    """Base chunks with their new texts."""
    templates: tuple[str, ...]
    score: float
    line: int
    gained: int = 0

    def job(self, number: int, limit: float) -> dict[str, Any]:
        return {
            "id": number,
            "edits": [[chunk.path, chunk.start, text] for chunk, text in self.edits],
            "limit": limit,
        }

    @property
    def fresh_only(self) -> bool:
        return any(chunk.whole for chunk, _ in self.edits)

    def sources(self, files: dict[str, SourceFile]) -> dict[str, str]:
        """New text of each file touched."""
        out: dict[str, str] = {}
        for chunk, text in sorted(self.edits, key=lambda edit: -edit[0].start):
            file = files[chunk.path]
            if chunk.path in out:
                later = SourceFile(chunk.path, out[chunk.path])
                out[chunk.path] = later.with_chunk(chunk, text)
            else:
                out[chunk.path] = file.with_chunk(chunk, text)
        return out

    def to_json(self, files: dict[str, SourceFile], rank: int) -> dict[str, Any]:
        return {
            "rank": rank,
            "templates": list(self.templates),
            "score": self.score,
            "line": self.line,
            "sources": self.sources(files),
        }


def ordered(candidates: list[Candidate]) -> list[Candidate]:
    """Best first; ties by place and text, so that the order is the same on every run."""
    return sorted(
        candidates,
        key=lambda c: (-c.score, c.edits[0][0].path, c.line, c.templates, [text for _, text in c.edits]),
    )
