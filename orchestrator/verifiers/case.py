"""Case: what a verifier is shown. Verifier: what every one of them does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...tools.patch import Patch
from ..search.node import Measurement, VerifierScore


@dataclass(frozen=True, slots=True)
class Case:
    """One candidate, or a step on the way to one."""

    issue: str
    patch: Patch
    evaluation: Measurement


class Verifier(Protocol):
    async def score(self, case: Case) -> VerifierScore:
        """Raises: VerifierError when it cannot be asked, which says nothing about the candidate."""
        ...
