"""RateLimiter: one per endpoint and process, shared by all concurrent rollouts.

After a 429 everyone waits until the endpoint said to come back, and then the calls leave one after the
other with a spacing that grows with each refusal and shrinks with each success.
"""

from __future__ import annotations

import asyncio
import threading
import time

_MIN_SPACING_S = 0.02
_MAX_SPACING_S = 10.0


class RateLimiter:
    """Safe across threads and event loops: it keeps times, no loop's primitives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._next_slot = 0.0
        self._spacing = 0.0
        self.reached = False
        """Whether the endpoint has ever answered this process."""

    async def wait(self, until: float | None = None) -> float:
        """Wait for this call's turn. Returns the seconds waited; gives up waiting at `until` (monotonic)."""
        started = time.monotonic()
        slot = 0.0
        while True:
            with self._lock:
                now = time.monotonic()
                at = self._not_before
                if self._spacing:
                    if slot < self._not_before:
                        slot = max(now, self._not_before, self._next_slot)
                        self._next_slot = slot + self._spacing
                    at = max(at, slot)
            if at <= now or (until is not None and now >= until):
                return now - started
            pause = at - now if until is None else min(at, until) - now
            await asyncio.sleep(max(0.0, pause))

    def paused_for(self) -> float:
        """Seconds until the next call may leave."""
        with self._lock:
            return max(0.0, self._not_before - time.monotonic())

    def refused(self, wait_s: float) -> None:
        """The endpoint said 429 (or 503): nobody calls for `wait_s` seconds."""
        with self._lock:
            now = time.monotonic()
            self.reached = True
            if now >= self._not_before:
                # Refusals of calls that were already under way belong to the same burst.
                self._spacing = min(_MAX_SPACING_S, max(_MIN_SPACING_S, self._spacing * 2))
            self._not_before = max(self._not_before, now + wait_s)

    def succeeded(self) -> None:
        with self._lock:
            self.reached = True
            self._spacing = 0.0 if self._spacing < _MIN_SPACING_S else self._spacing * 0.8


_limiters: dict[str, RateLimiter] = {}
_lock = threading.Lock()


def limiter_for(endpoint: str) -> RateLimiter:
    """The limiter of one endpoint and key in this process."""
    with _lock:
        return _limiters.setdefault(endpoint, RateLimiter())
