"""Endpoint: one model behind its wire, with everything between a request and its answer that all calls
share: keys, rate limit, retries, refused parameters, text mode, and what was learned of the context window."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from tenacity import AsyncRetrying, RetryCallState

from ...tools.errors import ContextOverflowError, CredentialsError, ModelError
from .calls import ModelOptions
from .catalog import ModelFacts
from .limiter import RateLimiter, limiter_for
from .messages import Encoder, Memory
from .providers import Route, facts_for
from .text_mode import TextMode
from .wire import RETRYABLE, Answer, Request, Wire, WireError

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_UNREACHED_ATTEMPTS = 3
"""Attempts at an endpoint that never answered: a wrong address must not take minutes to show."""

Heard = Callable[[WireError, int, float], None]
"""Called before each wait: the failure, the attempts so far, the seconds to wait."""


class Sampled(NamedTuple):
    """An answer and what it took."""

    answer: Answer
    attempts: int
    latency_s: float


class Endpoint:
    """Shared by every scope of a client, on any event loop."""

    def __init__(self, route: Route, wire: Wire, options: ModelOptions, memory: Memory) -> None:
        self.route = route
        self.wire = wire
        self.facts: ModelFacts = facts_for(route)
        self.context_window = route.context_window or self.facts.context_window
        self.encoder = Encoder(memory, route.reasoning)
        self.text = TextMode(memory)
        self.text_mode = bool(options.text_mode)
        self.bytes_per_token = 3.6
        self._may_use_text = options.text_mode is None
        self._options = options
        self._keys = list(route.keys(options)) or [None]
        self._dead: dict[str | None, WireError] = {}
        self._refused: frozenset[str] = frozenset()

    @property
    def model(self) -> str:
        return self.route.model

    async def ask(self, request: Request, deadline: float | None, heard: Heard) -> Sampled:
        """One answer, after as many attempts as it takes within the bounds.

        `deadline` (monotonic seconds) bounds the retries beside `ModelOptions.max_retry_s`.
        Raises: CredentialsError, ContextOverflowError, ModelError (with `attempts` set on each).
        """
        state = _Retries(self._options.max_retry_s, deadline, heard)
        retrying = AsyncRetrying(stop=state.stop, wait=state.wait, retry=state.retry, reraise=True)
        started = time.perf_counter()
        try:
            async for attempt in retrying:
                with attempt:
                    started, answer = await self._attempt(request, state)
                    return Sampled(answer, state.attempts, time.perf_counter() - started)
        except WireError as error:
            raise self.explain(error, state.attempts) from None
        raise AssertionError("unreachable")

    async def _attempt(self, request: Request, state: _Retries) -> tuple[float, Answer]:
        """One attempt that counts, with the second tries that cost nothing: another key, without a refused
        parameter, in text mode."""
        while True:
            key = self._key()
            limiter = state.limiter = self._limiter(key)
            paused = limiter.paused_for()
            if paused > self._options.max_retry_s:
                raise WireError("rate", "its rate limit is used up", retry_after_s=paused)
            await self.wire.ready()
            await limiter.wait(state.until())
            state.attempts += 1
            started = time.perf_counter()
            try:
                answer = await self.wire.attempt(self._prepared(request), key)
            except WireError as error:
                if error.status is not None:
                    limiter.reached = True
                if error.kind == "rate":
                    limiter.refused(state.backoff() if error.retry_after_s is None else error.retry_after_s)
                    if self._usable_now(key):
                        continue
                if self._adapts(error, key, request):
                    continue
                raise
            limiter.succeeded()
            if self.text_mode and request.tools:
                answer = self.text.read(answer, request.tools)
            self._calibrate(request, answer)
            return started, answer

    def _prepared(self, request: Request) -> Request:
        changed = request
        if self.text_mode and request.tools:
            pieces = self.text.pieces(request.messages, request.tools)
            changed = replace(request, pieces=pieces, tools=(), tool_choice=None)
        if self._refused:
            changed = replace(changed, leave_out=self._refused)
        return changed

    def _adapts(self, error: WireError, key: str | None, request: Request) -> bool:
        if error.kind in ("credentials", "quota"):
            self._dead[key] = error
            return any(other not in self._dead for other in self._keys)
        if error.kind == "parameter" and error.parameter and error.parameter not in self._refused:
            self._refused |= {error.parameter}
            return True
        if error.kind == "no_tools" and self._may_use_text and not self.text_mode and request.tools:
            self.text_mode = True
            return True
        if error.kind == "overflow" and error.context_window:
            self.context_window = min(error.context_window, self.context_window or error.context_window)
        return False

    def _key(self) -> str | None:
        alive = [key for key in self._keys if key not in self._dead]
        if not alive:
            raise next(iter(self._dead.values()))
        return min(alive, key=lambda key: self._limiter(key).paused_for())

    def _usable_now(self, refused: str | None) -> bool:
        return any(
            key != refused and key not in self._dead and not self._limiter(key).paused_for()
            for key in self._keys
        )

    def _limiter(self, key: str | None) -> RateLimiter:
        return limiter_for(f"{self.route.provider}|{self.route.base_url}|{self.route.name}|{hash(key)}")

    def _calibrate(self, request: Request, answer: Answer) -> None:
        tokens = answer.usage.prompt_tokens
        size = request.prompt.size
        if tokens and tokens > 200 and size:
            self.bytes_per_token = min(8.0, max(1.0, size / tokens))

    def explain(self, error: WireError, attempts: int = 1) -> ModelError:
        """The error of the family that says to a person what `error` means and what to do."""
        failure = self._explained(error, attempts)
        failure.attempts = attempts
        return failure

    def _explained(self, error: WireError, attempts: int) -> ModelError:
        model, text = self.model, self.masked(str(error))
        variables = " or ".join(self.route.key_vars) or "the key"
        tried = f" (after {attempts} attempts)" if attempts > 1 else ""
        if error.kind == "overflow":
            return ContextOverflowError(f"the prompt is longer than the context window of {model}: {text}")
        if error.kind == "credentials":
            return CredentialsError(f"{model} refused the API key ({text}); check {variables}")
        if error.kind == "missing":
            return CredentialsError(
                f"{model} does not exist at its endpoint ({text}); check --model and --api-base"
            )
        if error.kind == "quota":
            return CredentialsError(f"the account behind {model} has no credit left ({text})")
        if error.kind == "no_tools":
            return ModelError(f"{model} takes no tools ({text}); set text mode on")
        if not error.connected and error.status is None:
            where = f" at {self.route.base_url}" if self.route.base_url else ""
            return ModelError(
                f"{model} cannot be reached{where} ({text}){tried}; check --api-base and the network"
            )
        if (
            error.kind in RETRYABLE
            and error.retry_after_s
            and error.retry_after_s > self._options.max_retry_s
        ):
            return ModelError(
                f"{model} asked to wait {error.retry_after_s:.0f} s, longer than retries may take: {text}"
            )
        return ModelError(f"{model} failed: {text}{tried}")

    def masked(self, text: str) -> str:
        """Without the keys, should an endpoint echo one; nor parts of them, as OpenAI's 401 does."""
        for key in self._keys:
            if key and len(key) >= 6:
                text = text.replace(key, "***")
        return text

    async def close(self) -> None:
        await self.wire.close()


class _Retries:
    """tenacity's stop, wait and retry for one call."""

    def __init__(self, max_retry_s: float, deadline: float | None, heard: Heard) -> None:
        self._max_retry_s = max_retry_s
        self._deadline = deadline
        self._heard = heard
        self._failed_at: float | None = None
        self._failures = 0
        self.attempts = 0
        self.limiter: RateLimiter | None = None

    def until(self) -> float | None:
        """When to stop waiting for the endpoint's turn; None before anything failed and without a deadline."""
        ends = [] if self._deadline is None else [self._deadline]
        if self._failed_at is not None:
            ends.append(self._failed_at + self._max_retry_s)
        return min(ends) if ends else None

    def backoff(self) -> float:
        """Exponential with full jitter in its upper half."""
        return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**self._failures) * random.uniform(0.5, 1.0)

    def retry(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        return isinstance(error, WireError) and error.kind in RETRYABLE

    def wait(self, state: RetryCallState) -> float:
        """Seconds; after a rate limit the shared limiter waits, for all rollouts at once."""
        error: Any = state.outcome.exception() if state.outcome is not None else None
        if error.kind == "rate":
            return 0.0
        return self.backoff() if error.retry_after_s is None else error.retry_after_s

    def stop(self, state: RetryCallState) -> bool:
        error: Any = state.outcome.exception() if state.outcome is not None else None
        now = time.monotonic()
        self._failed_at = self._failed_at or now
        self._failures += 1
        limiter = self.limiter
        unreached = not error.connected and limiter is not None and not limiter.reached
        if unreached and self._failures >= _UNREACHED_ATTEMPTS:
            return True
        paused = (
            limiter.paused_for() if limiter is not None and error.kind == "rate" else state.upcoming_sleep
        )
        until = self.until()
        if until is not None and now + paused > until:
            return True
        self._heard(error, self.attempts, paused)
        return False
