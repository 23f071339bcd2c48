"""Candidate: one or two mutated chunks, with where it stands in the order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .chunk import Change, Chunk, SourceFile

if TYPE_CHECKING:
    from .shapes import Found, Job


class Candidate(NamedTuple):
    edits: tuple[tuple[Chunk, Change], ...]
    """Base chunks with what is changed in them."""
    templates: tuple[str, ...]
    score: float
    line: int
    gained: int = 0

    def job(self, number: int, limit: float, first: float) -> Job:
        return {
            "id": number,
            "edits": [(chunk.path, chunk.start, text) for chunk, text in self.texts],
            "limit": limit,
            "first": first,
        }

    @property
    def texts(self) -> list[tuple[Chunk, str]]:
        """Base chunks with their new texts."""
        return [(chunk, chunk.replace(change)) for chunk, change in self.edits]

    @property
    def fresh_only(self) -> bool:
        return any(chunk.whole for chunk, _ in self.edits)

    def sources(self, files: dict[str, SourceFile]) -> dict[str, str]:
        """New text of each file touched."""
        out: dict[str, str] = {}
        for chunk, text in sorted(self.texts, key=lambda edit: -edit[0].start):
            file = files[chunk.path]
            if chunk.path in out:
                later = SourceFile(chunk.path, out[chunk.path])
                out[chunk.path] = later.with_chunk(chunk, text)
            else:
                out[chunk.path] = file.with_chunk(chunk, text)
        return out

    def to_json(self, files: dict[str, SourceFile], rank: int) -> Found:
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
        key=lambda c: (-c.score, c.edits[0][0].path, c.line, c.templates, [change for _, change in c.edits]),
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


def _together(one: Candidate, two: Candidate) -> tuple[tuple[Chunk, Change], ...]:
    """The edits of both; () where they touch each other."""
    if len(one.edits) != 1 or len(two.edits) != 1:
        return ()
    (base, first), (other, second) = one.edits[0], two.edits[0]
    if base.key != other.key:
        return one.edits + two.edits
    spans = sorted((first, second))
    return ((base, base.changed(base.replace(*spans))),) if spans[0].end < spans[1].start else ()
