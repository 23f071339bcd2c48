"""Retries: when one call to an endpoint is tried again, by the one retry policy, the endpoint's limiter and the
deadline of the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...tools.retry import RetryPolicy
from .accepts import NOTHING, Features
from .limiter import RateLimiter
from .wire import RETRYABLE, WireError

if TYPE_CHECKING:
    from tenacity import AsyncRetrying, RetryCallState

_UNREACHED_ATTEMPTS = 3
"""Attempts at an endpoint that never answered: a wrong address must not take minutes to show."""

_ERROR_ANSWERS = 5
"""Attempts at an endpoint that answers with an error in place of a message: it is there, and minutes change little."""

Heard = Callable[[WireError, int, float], None]
"""Called before each wait: the failure, the attempts so far, the seconds to wait."""


class Retries:
    """tenacity's stop, wait and retry for one call."""

    def __init__(self, max_retry_s: float, deadline: float | None, heard: Heard) -> None:
        self._policy = RetryPolicy(0.5, 30.0, total_s=max_retry_s)
        self._deadline = deadline
        self._heard = heard
        self._failed_at: float | None = None
        self._failures = 0
        self.attempts = 0
        self.adapted = False
        """Whether the failed attempt is followed at once by another, which is made differently."""
        self.limiter: RateLimiter | None = None
        self.leave_out: Features | None = None
        """What the running experiment leaves out; None: what the endpoint is known not to take."""
        self.trial: Features = NOTHING
        """What this attempt puts back of what is in doubt."""
        self.words = ""
        """Of the last failure that may pass by itself."""
        self.resampled = 0
        self.probed = False
        """Whether a harmless request was made, to tell a bad key from a bad prompt."""

    def loop(self) -> AsyncRetrying:
        from tenacity import AsyncRetrying

        return AsyncRetrying(stop=self._stop, wait=self._wait, retry=self._retry, reraise=True)

    def until(self) -> float | None:
        """When to stop waiting for the endpoint's turn; None before anything failed and without a deadline."""
        ends = [] if self._deadline is None else [self._deadline]
        if self._failed_at is not None and self._policy.total_s is not None:
            ends.append(self._failed_at + self._policy.total_s)
        return min(ends) if ends else None

    def backoff(self) -> float:
        return self._policy.pause_s(self._failures + 1)

    def _retry(self, state: RetryCallState) -> bool:
        error = _error(state)
        return error is not None and (self.adapted or error.kind in RETRYABLE)

    def _wait(self, state: RetryCallState) -> float:
        """Seconds; after a rate limit the shared limiter waits, for all rollouts at once."""
        error = _error(state)
        if error is None or self.adapted or error.kind == "rate":
            return 0.0
        return self._policy.pause_s(self._failures + 1, error.retry_after_s)

    def _stop(self, state: RetryCallState) -> bool:
        error = _error(state)
        if error is None:
            return True
        if self.adapted:
            self.adapted = False
            return False
        now = time.monotonic()
        self._failed_at = self._failed_at or now
        self._failures += 1
        limiter = self.limiter
        unreached = not error.connected and limiter is not None and not limiter.reached
        if unreached and self._failures >= _UNREACHED_ATTEMPTS:
            return True
        if error.status == 200 and self._failures >= _ERROR_ANSWERS:
            return True
        paused = (
            limiter.paused_for() if limiter is not None and error.kind == "rate" else state.upcoming_sleep
        )
        until = self.until()
        if until is not None and now + paused > until:
            return True
        self._heard(error, self.attempts, paused)
        return False


def _error(state: RetryCallState) -> WireError | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, WireError) else None
