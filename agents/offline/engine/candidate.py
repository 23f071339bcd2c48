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


def combined(seeds: list[Candidate], most: int = 400) -> list[Candidate]:
    """Two edits, each of which turned something green, in one: an issue may have two causes. Those of edits that
    gained most come first."""
    both: list[Candidate] = []
    for at, one in enumerate(seeds[:40]):
        for two in seeds[at + 1 : 40]:
            edits = _together(one, two)
            if edits:
                names, gained = one.templates + two.templates, one.gained + two.gained
                both.append(Candidate(edits, names, one.score * two.score, one.line, gained))
    both.sort(key=lambda c: (-c.gained, -c.score))
    return both[:most]


def _together(one: Candidate, two: Candidate) -> tuple[tuple[Chunk, str], ...]:
    """The edits of both; () where they touch each other."""
    if len(one.edits) != 1 or len(two.edits) != 1:
        return ()
    (base, first), (other, second) = one.edits[0], two.edits[0]
    if base.key != other.key:
        return one.edits + two.edits
    spans = sorted((_changed(base, first), _changed(base, second)))
    if spans[0][1] >= spans[1][0]:
        return ()
    return ((base, base.replace(*spans)),)


def _changed(base: Chunk, text: str) -> tuple[int, int, str]:
    """Byte span of the chunk that differs, and what stands there instead."""
    old, new = base.data, text.encode("utf-8", "surrogateescape")
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return start, len(old) - end, new[start : len(new) - end].decode("utf-8", "surrogateescape")
