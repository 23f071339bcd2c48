"""Panel: asks a run's verifier, once for the same patch and evidence, and never lets it end the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...tools.errors import VerifierError
from ..record.decisions import Opined
from ..record.recorder import Recorder
from ..search.node import VerifierScore, digest
from .case import Case, Verifier
from .features import NAMES, features
from .opening import open_verifier

MOST_FAILURES = 3
"""Failures in a row after which it is not asked again."""


@dataclass(slots=True)
class Panel:
    named: str
    """File or URL."""
    recorder: Recorder
    _verifier: Verifier | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    """In a row."""

    async def opinion(self, case: Case) -> VerifierScore:
        """What was said before of the same case is taken from the log. What cannot be asked is written down as such
        and is no opinion. Raises: UsageError when the file is none."""
        given = features(case.evaluation, case.patch)
        key = digest(self.named, case.patch.sha256, *(repr(given[name]) for name in NAMES))
        known = self.recorder.recall(Opined, key)
        if known is not None:
            fields: dict[str, Any] = {**known.verifier}
            return VerifierScore(**fields)
        if self._failures >= MOST_FAILURES:
            return VerifierScore(self.named, why=f"it could not be asked {MOST_FAILURES} times in a row")
        try:
            self._verifier = self._verifier or open_verifier(self.named)
            said = await self._verifier.score(case)
            self._failures = 0
        except VerifierError as error:
            said = VerifierScore(self.named, why=str(error))
            self._failures += 1
            if self._failures == 1:
                self.recorder.tell(f"{error}; the choice goes on without it")
        self.recorder.append(Opined(case=key, verifier=said.to_json()))
        return said
