"""Endpoint: one model behind its wire, with everything between a request and its answer that all calls
share: keys, rate limit, retries, refused parameters, text mode, and what was learned of the context window."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

from ...tools.errors import ContextOverflowError, CredentialsError, ModelError
from .calls import ModelOptions
from .catalog import ModelFacts
from .encoder import Encoder
from .limiter import RateLimiter, limiter_for
from .providers import Route, facts_for
from .retries import Heard, Retries
from .text_mode import TextMode
from .wire import RETRYABLE, Answer, Request, Wire, WireError


class Sampled(NamedTuple):
    """An answer and what it took."""

    answer: Answer
    attempts: int
    latency_s: float


class Endpoint:
    """Shared by every scope of a client, on any event loop."""

    def __init__(self, route: Route, wire: Wire, options: ModelOptions) -> None:
        self.route = route
        self.wire = wire
        self.facts: ModelFacts = facts_for(route)
        self.context_window = route.context_window or self.facts.context_window
        self.encoder = Encoder(route.reasoning)
        self.text = TextMode()
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
        state = Retries(self._options.max_retry_s, deadline, heard)
        try:
            async for attempt in state.loop():
                with attempt:
                    key = await self._turn(state)
                    started = time.perf_counter()
                    try:
                        answer = await self.wire.attempt(self._prepared(request), key)
                    except WireError as error:
                        state.adapted = self._adapts(error, key, request, state)
                        raise
                    return Sampled(
                        self._taken(answer, request, key), state.attempts, time.perf_counter() - started
                    )
        except WireError as error:
            raise self.explain(error, state.attempts) from None
        raise AssertionError("unreachable")

    async def _turn(self, state: Retries) -> str | None:
        """Wait until a request may leave. Returns the key that it takes. Raises: WireError."""
        key = self._key()
        limiter = state.limiter = self._limiter(key)
        paused = limiter.paused_for()
        if paused > self._options.max_retry_s:
            raise WireError("rate", "its rate limit is used up", retry_after_s=paused)
        await self.wire.ready()
        await limiter.wait(state.until())
        state.attempts += 1
        return key

    def _taken(self, answer: Answer, request: Request, key: str | None) -> Answer:
        self._limiter(key).succeeded()
        self._calibrate(request, answer)
        return self.text.read(answer, request.tools) if self.text_mode and request.tools else answer

    def estimate(self, size: int, tools_size: int = 0) -> int:
        """Prompt tokens, from sizes in bytes and what earlier calls came to."""
        return int((size + tools_size) / self.bytes_per_token) + 1

    def _prepared(self, request: Request) -> Request:
        changed = request
        if self.text_mode and request.tools:
            pieces = self.text.pieces(request.messages, request.tools)
            changed = replace(request, pieces=pieces, tools=(), tool_choice=None)
        if self._refused:
            changed = replace(changed, leave_out=self._refused)
        return changed

    def _adapts(self, error: WireError, key: str | None, request: Request, state: Retries) -> bool:
        """Whether something was changed that makes another attempt worth it, at once."""
        limiter = self._limiter(key)
        if error.status is not None:
            limiter.reached = True
        if error.kind == "rate":
            limiter.refused(state.backoff() if error.retry_after_s is None else error.retry_after_s)
            return self._usable_now(key)
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
