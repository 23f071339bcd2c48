"""make_client: from a model's name to a client; check_model, preflight and ping: will it work?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ...tools.errors import CredentialsError, ModelError, UsageError
from .calls import CallObserver, Journal, ModelOptions, Sampling
from .catalog import ModelFacts
from .providers import Route, check_model, facts_for, route_of

if TYPE_CHECKING:
    from ..budget import Budget
    from .client import ModelClient
    from .endpoint import Endpoint
    from .wire import Wire

__all__ = ["Ping", "check_model", "make_client", "model_facts", "ping", "preflight"]


def make_client(
    model: str,
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    options: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
    scope: str = "",
    observer: CallObserver | None = None,
    journal: Journal | None = None,
    budget: Budget | None = None,
    replay_only: bool = False,
) -> ModelClient:
    """A client for `model`. Touches no network; SDKs are imported on the first call.

    `replay_only`: every call must come from `journal`; no key is needed and nothing is ever sent.
    Raises: CredentialsError (as `check_model`); UsageError when the budget is in dollars and a model's price
    is not known; RecordError never here, but from calls when `replay_only` and the journal has no answer.
    """
    from .client import Core, ModelClient
    from .messages import Memory, ToolShapes
    from .wire import Answer

    if not replay_only:
        check_model(model, options)
    memory = Memory()
    for response in getattr(journal, "responses", tuple)():
        memory.keep(Answer.from_response(response))
    endpoints = [_endpoint(name, options, memory, replay_only) for name in (model, *options.fallbacks)]
    if budget is not None and budget.has_usd_limit and not replay_only:
        for endpoint in endpoints:
            if endpoint.route.is_llm and not endpoint.facts.priced:
                raise UsageError(
                    f"the price of {endpoint.model} is not known, so --budget-usd cannot be kept; use --budget-tokens"
                )
    core = Core(endpoints, options, memory, ToolShapes(), replay_only)
    return ModelClient(
        core, scope=scope, sampling=sampling, observer=observer, journal=journal, budget=budget
    )


def model_facts(model: str, options: ModelOptions = ModelOptions()) -> ModelFacts:  # noqa: B008 - frozen
    """Context window and prices of `model`. Raises: CredentialsError for an unknown provider."""
    return facts_for(route_of(model, options))


def _endpoint(model: str, options: ModelOptions, memory: object, replay_only: bool) -> Endpoint:
    from .endpoint import Endpoint
    from .messages import Memory

    assert isinstance(memory, Memory)
    route = route_of(model, options)
    return Endpoint(route, _wire(route, options, replay_only), options, memory)


def _wire(route: Route, options: ModelOptions, replay_only: bool) -> Wire:
    """The implementations are imported here and nowhere else, each only when a model takes it."""
    if route.wire == "openai" or replay_only:
        from .openai_wire import OpenAIWire

        return OpenAIWire(route, inactivity_s=options.inactivity_s, token_ids=options.token_ids)
    if route.wire == "scripted":
        from .scripted import ScriptedWire

        return ScriptedWire.load(route.name)
    if route.wire == "client":
        from .client_wire import ClientWire

        return ClientWire(route.name)
    from .litellm_wire import LitellmWire

    return LitellmWire(route, options)


@dataclass(frozen=True, slots=True)
class Ping:
    """What a ping found out."""

    model: str
    endpoint: str
    latency_s: float
    detail: str


async def preflight(model: str, options: ModelOptions, *, timeout_s: float = 4.0) -> None:
    """Ask the endpoint, at no cost, whether the key and the model's name are good, as far as it says.

    Only OpenAI-compatible endpoints have a list of models to ask for; where there is none, nothing is
    concluded. Raises: CredentialsError; ModelError when the endpoint cannot be reached at all.
    """
    from .messages import Memory
    from .openai_wire import OpenAIWire
    from .wire import WireError

    check_model(model, options)
    endpoint = _endpoint(model, options, Memory(), replay_only=False)
    wire, route = endpoint.wire, endpoint.route
    if not isinstance(wire, OpenAIWire):
        return
    keys = route.keys(options) or (None,)
    refusals: list[ModelError] = []
    try:
        for key in keys:
            try:
                found = await wire.models(key, timeout_s)
            except WireError as error:
                failure = endpoint.explain(error)
                if error.kind == "credentials" and error.status == 401:
                    refusals.append(failure)
                    continue
                if not error.connected and error.kind != "timeout":
                    raise failure from None
                return
            _look_up(route, found, endpoint)
            return
        if refusals:
            raise refusals[0]
    finally:
        await wire.close()


def _look_up(route: Route, found: Sequence[object], endpoint: Endpoint) -> None:
    entries = {str(e["id"]): e for e in found if isinstance(e, dict) and "id" in e}
    if not entries or route.name in entries or f"{route.name}:latest" in entries:
        return
    if any(name.endswith(f"/{route.name}") or name == route.model for name in entries):
        return
    if route.provider == "openai" and route.base_url != "https://api.openai.com/v1":
        return  # routers and test servers answer to names that they do not list
    if route.name.split(":")[0] in entries:
        return
    close = get_close_matches(route.name, entries, 1, 0.4) or sorted(entries)[:1]
    raise CredentialsError(
        f"the endpoint of {route.model} has no model {route.name!r}; it has {len(entries)}, for example {close[0]!r}"
    )


async def ping(model: str, options: ModelOptions) -> Ping:
    """Ask `model` for a few tokens. Raises: CredentialsError, ModelError."""
    from autogen_core.models import UserMessage

    await preflight(model, options)
    client = make_client(model, options=options, sampling=Sampling(max_output_tokens=16), scope="ping")
    started = time.perf_counter()
    try:
        result = await client.create([UserMessage(content="Reply with the word: pong", source="user")])
    finally:
        await client.close()
    call = result.call
    cost = "price unknown" if call.usage.cost_usd is None else f"${call.usage.cost_usd:.6f}"
    detail = f"{call.served_model or model}, {result.usage.completion_tokens} tokens, {cost}"
    route = route_of(model, options)
    return Ping(model, route.base_url or route.provider, round(time.perf_counter() - started, 3), detail)
