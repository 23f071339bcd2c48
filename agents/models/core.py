"""Core: what all scopes of a client share, and the way of one call through it: reserve, ask the model or its
fallbacks, settle."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from ...tools.errors import BudgetExceeded, ContextOverflowError, CredentialsError, ModelError, RecordError
from ..budget import Budget, Reservation, Spending
from .calls import CallObserver, ModelOptions, Sampling, Usage
from .endpoint import Endpoint, Sampled
from .messages import Memory, ToolShapes, dumps
from .wire import Request, WireError

_RESERVED_OUTPUT = 32_768
"""Completion tokens set aside for a call whose length nothing else bounds."""
_LEAST_OUTPUT = 256


@dataclass(slots=True)
class Core:
    """One model with its fallbacks."""

    endpoints: list[Endpoint]
    """The model, then its fallbacks."""
    options: ModelOptions
    memory: Memory
    tools: ToolShapes
    replay_only: bool

    @property
    def primary(self) -> Endpoint:
        return self.endpoints[0]

    async def sample(
        self, request: Request, budget: Budget | None, observer: CallObserver | None
    ) -> tuple[Sampled, Endpoint]:
        """Ask the model, then each fallback. The first failure is raised when all have failed.

        Raises: CredentialsError, ContextOverflowError, ModelError, BudgetExceeded; RecordError in a replay.
        """
        failed: ModelError | None = None
        for number, endpoint in enumerate(self.endpoints):
            if number:
                request.pieces = endpoint.encoder.pieces(request.messages)
            try:
                return await self._ask(endpoint, request, budget, observer), endpoint
            except ContextOverflowError as error:
                _tell(observer, request, endpoint, "overflow", error)
                raise
            except ModelError as error:
                kind = "credentials" if isinstance(error, CredentialsError) else "infrastructure"
                _tell(observer, request, endpoint, kind, error)
                failed = failed or error
        assert failed is not None
        raise failed

    async def _ask(
        self, endpoint: Endpoint, request: Request, budget: Budget | None, observer: CallObserver | None
    ) -> Sampled:
        reservation, deadline = await self._reserve(endpoint, request, budget)

        def heard(error: WireError, attempts: int, wait_s: float) -> None:
            listen = getattr(observer, "call_retried", None)
            if listen is not None:
                listen(
                    scope=request.scope,
                    index=request.index,
                    model=endpoint.model,
                    error=endpoint.masked(str(error)),
                    attempts=attempts,
                    wait_s=wait_s,
                )

        try:
            if self.replay_only:
                raise RecordError(
                    f"the replay diverges: the record has no call {request.index} of {request.scope}"
                )
            sampled = await endpoint.ask(request, deadline, heard)
        except ModelError as error:
            if budget is not None and deadline is not None and time.monotonic() >= deadline:
                _tell(observer, request, endpoint, "infrastructure", error)
                budget.check()
            raise
        else:
            answer = sampled.answer
            if answer.usage.cost_usd is None:
                cost = endpoint.facts.cost(answer.usage, answer.cache_write_tokens)
                answer.usage = replace(answer.usage, cost_usd=cost)
            if reservation is not None:
                known = answer.usage.prompt_tokens is not None
                # Without a usage report the estimate stands: what was not measured was not free.
                reservation.settle(spending(answer.usage) if known else reservation.amount)
            return sampled
        finally:
            if reservation is not None:
                reservation.release()

    async def _reserve(
        self, endpoint: Endpoint, request: Request, budget: Budget | None
    ) -> tuple[Reservation | None, float | None]:
        """Set aside what the call may cost; a nearly spent budget bounds its length. Returns the reservation
        and when (monotonic) the wall limit is reached."""
        if budget is None:
            return None, None
        prompt = self.estimate(endpoint, request.prompt.size, request.tools) if endpoint.route.is_llm else 0
        facts = endpoint.facts
        expected = getattr(endpoint.wire, "expected", None)
        longest = min(facts.max_output_tokens or _RESERVED_OUTPUT, _RESERVED_OUTPUT)
        wanted = (request.sampling.max_output_tokens or longest) if endpoint.route.is_llm else 0
        least = min(_LEAST_OUTPUT, wanted)
        request.max_output_tokens = request.sampling.max_output_tokens
        while True:
            budget.check()
            room = budget.room(reserved=False)
            output = wanted
            if room.tokens is not None and output:
                output = max(least, min(output, room.tokens - prompt))
            if room.usd is not None and facts.input_price is not None and facts.output_price and output:
                affordable = int((room.usd - prompt * facts.input_price) / facts.output_price)
                output = max(least, min(output, affordable))
            usd = prompt * (facts.input_price or 0.0) + output * (facts.output_price or 0.0)
            priced = facts.input_price is not None or facts.output_price is not None
            amount = Spending(usd=usd if priced else None, tokens=prompt + output, steps=1)
            if expected is not None:
                amount = spending(expected(request))
            try:
                reservation = await budget.acquire(amount)
            except BudgetExceeded:
                # While this call waited, others settled: what is left may do for a shorter answer.
                if output <= least or budget.room(reserved=False) == room:
                    raise
                continue
            break
        if output < wanted:
            request.max_output_tokens = output
        wall = budget.room().wall_s
        if wall is None:
            return reservation, None
        request.timeout_s = max(0.001, min(request.timeout_s, wall))
        return reservation, time.monotonic() + wall

    def digest(self, request: Request) -> str:
        """SHA-256 over what decides the answer: model, sampling, tools, format and every message."""
        head = {
            "model": self.primary.model,
            "sampling": _fields(request.sampling),
            "tools": hashlib.sha256(self.tools.shapes(request.tools)[1]).hexdigest()
            if request.tools
            else None,
            "tool_choice": request.tool_choice,
            "response_format": request.response_format,
            "extra": request.extra,
        }
        return hashlib.sha256(dumps(head) + request.prompt.digest).hexdigest()

    def estimate(self, endpoint: Endpoint, size: int, tools: Sequence[Any]) -> int:
        """Prompt tokens, from the size in bytes and what earlier calls came to."""
        if tools:
            size += len(self.tools.shapes(tools)[1])
        return int(size / endpoint.bytes_per_token) + 1


def spending(usage: Usage) -> Spending:
    """What one call with this usage takes from a budget."""
    tokens = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
    return Spending(usd=usage.cost_usd, tokens=tokens, steps=1)


@lru_cache(maxsize=256)
def _fields(sampling: Sampling) -> dict[str, Any]:
    return asdict(sampling)


def _tell(
    observer: CallObserver | None, request: Request, endpoint: Endpoint, kind: str, error: ModelError
) -> None:
    if observer is not None:
        observer.call_failed(
            scope=request.scope,
            index=request.index,
            model=endpoint.model,
            kind=kind,
            error=str(error),
            attempts=error.attempts,
        )
