"""Rank: which of several plausible patches is the answer."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from .candidate import Candidate
from .chunk import SourceFile
from .spectrum import Spectrum


def rank(
    found: Sequence[Tuple[int, Candidate]], files: Dict[str, SourceFile], spectrum: Spectrum
) -> List[Candidate]:
    """The search's own order: a vote among mechanical mutants does not beat it."""
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]
