"""Rank: which of several plausible patches is the answer."""

from __future__ import annotations

from collections.abc import Sequence

from .candidate import Candidate
from .chunk import SourceFile
from .spectrum import Spectrum


def rank(
    found: Sequence[tuple[int, Candidate]], files: dict[str, SourceFile], spectrum: Spectrum
) -> list[Candidate]:
    """The search's own order: a vote among mechanical mutants does not beat it."""
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]
