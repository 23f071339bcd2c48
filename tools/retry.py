"""RetryPolicy: how often and after which pauses something is tried again. Models, forges and the batch runner
share it; the loop itself is tenacity's."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential pauses: `first_s`, doubled after each failure, at most `longest_s`."""

    first_s: float
    longest_s: float = 30.0
    attempts: int | None = None
    """Attempts in all; None: as many as `total_s` allows."""
    total_s: float | None = None
    """Seconds since the first failure in which a further attempt may begin; None: without limit."""
    jitter: bool = True
    """Pauses are drawn from their upper half, so that many callers do not come back together."""

    def pause_s(self, failures: int, asked_s: float | None = None) -> float:
        """Seconds before the next attempt, after `failures` (1, 2, ...) failed ones. What the other side
        asked for (`Retry-After`) comes first."""
        if asked_s is not None:
            return max(0.0, asked_s)
        pause = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 64))
        return pause * random.uniform(0.5, 1.0) if self.jitter else pause

    def allows(self, failures: int, since_first_s: float = 0.0, pause_s: float = 0.0) -> bool:
        """Whether another attempt may be made after `failures` failed ones, in `pause_s` seconds."""
        if self.attempts is not None and failures >= self.attempts:
            return False
        return self.total_s is None or since_first_s + pause_s <= self.total_s

    def retrying(
        self,
        wanted: Callable[[BaseException], bool],
        asked: Callable[[BaseException], float | None] = lambda error: None,
        waiting: Callable[[BaseException, float], None] = lambda error, pause_s: None,
    ) -> Retrying:
        """tenacity's loop (`for attempt in ...: with attempt: ...`). `wanted` says whether a failure is worth
        another attempt, `asked` how long the other side asked to wait; `waiting` hears of each pause. The
        last failure is raised as it is."""
        from tenacity import Retrying

        def error_of(state: RetryCallState) -> BaseException:
            error = state.outcome.exception() if state.outcome is not None else None
            return error or RuntimeError("no failure")

        def stop(state: RetryCallState) -> bool:
            return not self.allows(
                state.attempt_number, state.seconds_since_start or 0.0, state.upcoming_sleep
            )

        return Retrying(
            retry=lambda state: (
                state.outcome is not None and state.outcome.failed and wanted(error_of(state))
            ),
            wait=lambda state: self.pause_s(state.attempt_number, asked(error_of(state))),
            stop=stop,
            before_sleep=lambda state: waiting(error_of(state), state.upcoming_sleep),
            reraise=True,
        )
