"""Spending: what one call may cost is set aside before it is sent, and settled after its answer."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from ...tools.errors import BudgetExceeded, ContextOverflowError, CredentialsError, ModelError
from ..budget import Budget, Reservation, Spending
from .calls import CallObserver, Sampling, Usage
from .encoder import ToolShapes, dumps
from .endpoint import Endpoint, Heard
from .wire import Answer, Request, WireError

_RESERVED_OUTPUT = 32_768
"""Completion tokens set aside for a call whose length nothing else bounds."""
_LEAST_OUTPUT = 256


@dataclass(frozen=True, slots=True)
class Outlay:
    """What one call may cost."""

    budget: Budget | None = None
    reservation: Reservation | None = None
    deadline: float | None = None
    """When (monotonic) the wall limit is reached."""

    def settle(self, endpoint: Endpoint, answer: Answer) -> None:
        """Price the answer and take what it cost."""
        if answer.usage.cost_usd is None:
            cost = endpoint.facts.cost(answer.usage, answer.cache_write_tokens)
            answer.usage = replace(answer.usage, cost_usd=cost)
        if self.reservation is not None:
            known = answer.usage.prompt_tokens is not None
            # Without a usage report the estimate stands: what was not measured was not free.
            self.reservation.settle(spending(answer.usage) if known else self.reservation.amount)

    def release(self) -> None:
        """Give back what a call that failed did not take; after `settle` nothing."""
        if self.reservation is not None:
            self.reservation.release()

    def check_wall(self) -> None:
        """Raises: BudgetExceeded when the call failed because the time is up."""
        if self.budget is not None and self.deadline is not None and time.monotonic() >= self.deadline:
            self.budget.check()


async def reserve(endpoint: Endpoint, request: Request, budget: Budget | None, tools: ToolShapes) -> Outlay:
    """Set aside what the call may cost; a nearly spent budget bounds its length.

    Raises: BudgetExceeded.
    """
    if budget is None:
        return Outlay()
    size = len(tools.wire(request.tools)) if request.tools else 0
    prompt = endpoint.estimate(request.prompt.size, size) if endpoint.route.is_llm else 0
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
        return Outlay(budget, reservation)
    request.timeout_s = max(0.001, min(request.timeout_s, wall))
    return Outlay(budget, reservation, time.monotonic() + wall)


def spending(usage: Usage) -> Spending:
    """What one call with this usage takes from a budget."""
    tokens = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
    return Spending(usd=usage.cost_usd, tokens=tokens, steps=1)


def request_sha256(model: str, request: Request, tools: ToolShapes) -> str:
    """SHA-256 over what decides the answer: model, sampling, tools, format and every message."""
    head = {
        "model": model,
        "sampling": _fields(request.sampling),
        "tools": hashlib.sha256(tools.wire(request.tools)).hexdigest() if request.tools else None,
        "tool_choice": request.tool_choice,
        "response_format": request.response_format,
        "extra": request.extra,
    }
    return hashlib.sha256(dumps(head) + request.prompt.digest).hexdigest()


@lru_cache(maxsize=256)
def _fields(sampling: Sampling) -> dict[str, object]:
    return asdict(sampling)


def tell(observer: CallObserver | None, request: Request, endpoint: Endpoint, error: ModelError) -> None:
    """Tell the observer that an endpoint failed for good, or that the prompt is too long for it."""
    if observer is None:
        return
    kind = "infrastructure"
    if isinstance(error, ContextOverflowError):
        kind = "overflow"
    elif isinstance(error, CredentialsError):
        kind = "credentials"
    observer.call_failed(
        scope=request.scope,
        index=request.index,
        model=endpoint.model,
        kind=kind,
        error=str(error),
        attempts=error.attempts,
    )


def listener(observer: CallObserver | None, request: Request, endpoint: Endpoint) -> Heard:
    """What tells the observer, where it listens, of each attempt that failed and will be repeated."""
    listen = getattr(observer, "call_retried", None)

    def heard(error: WireError, attempts: int, wait_s: float) -> None:
        if listen is not None:
            listen(
                scope=request.scope,
                index=request.index,
                model=endpoint.model,
                error=endpoint.masked(str(error)),
                attempts=attempts,
                wait_s=wait_s,
            )

    return heard
