"""Accepts: what one endpoint takes, learned by trying and remembered for the life of the process."""

from __future__ import annotations

import time
from dataclasses import dataclass

Features = frozenset[str]
"""Names of parameters and of `shapes`, and `tools`, `stream`, `whole`, `schema_keywords`, `reasoning`,
`cache_control`: everything that a request can do without."""

NOTHING: Features = frozenset()
_AGAIN_S = 60.0


@dataclass(slots=True)
class Accepts:
    """What is left out, and how sure that is.

    An experiment that works leaves out more than was needed. Later requests put parts of that back, a half at
    a time; each that is refused is one more request, so only as many are risked as `risks` allows. What then
    still is in doubt stays left out.
    """

    refused: Features = NOTHING
    """Left out of every request."""
    doubt: Features = NOTHING
    """Those of them of which it is not known whether the endpoint takes them."""
    blamed: Features = NOTHING
    """The smallest part of `doubt` that a refusal pointed to."""
    risks: int = 0
    again_at: float | None = None
    """Set when it may all have been an outage: when (monotonic) everything is put back once more at the latest."""
    words: str = ""
    """Of the refusal that `doubt` is about."""

    def learned(self, refused: Features) -> None:
        """The endpoint said so in words that name it."""
        self.refused |= refused
        self.doubt -= refused

    def worked(
        self, left_out: Features, before: Features, blamed: Features, *, extra: int, words: str, sure: bool
    ) -> None:
        """A request without `left_out` was answered, after `extra` more requests than were needed; the one
        without `before` was refused with `words`. `blamed` holds what must have been it."""
        self.words = words
        self.again_at = None if sure else time.monotonic() + _AGAIN_S
        found = left_out - before
        self.refused |= left_out
        self.doubt = self.doubt | found if len(found) > 1 or not blamed else NOTHING
        self.blamed = blamed & self.doubt
        self.risks = max(0, 3 - extra)

    def trial(self, present: Features) -> Features:
        """What the next request may put back (part of `doubt`, and of what it would hold); mostly nothing."""
        if self.again_at is not None:
            due = self.risks > 0 or time.monotonic() >= self.again_at
            return self.doubt & present if due else NOTHING
        if not self.doubt or self.risks <= 0 or (self.blamed == self.doubt and len(self.blamed) == 1):
            return NOTHING
        innocent = self.doubt - self.blamed
        if self.blamed and innocent:
            return innocent & present
        pool = sorted((self.blamed or self.doubt) & present)
        return frozenset(pool[: max(1, len(pool) // 2)])

    def took(self, trial: Features) -> None:
        """A request with `trial` put back was answered."""
        self.refused -= trial
        self.doubt -= trial
        self.blamed -= trial
        self.again_at = self.again_at if self.doubt else None

    def refused_trial(self, trial: Features) -> None:
        """A request with `trial` put back was refused."""
        self.risks -= 1
        self.again_at = None
        if self.blamed and not trial <= self.blamed:
            self.risks = 0  # more than one thing is refused
        self.blamed = trial
