"""preflight and ping: will a model answer? Asked before a run costs anything."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ...tools.body_limit import ENCODINGS, bounded
from ...tools.errors import CredentialsError, ModelError
from ...tools.proxies import http_options
from .calls import ModelOptions, Sampling
from .providers import Route, check_model, route_of

if TYPE_CHECKING:
    from .endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Ping:
    """What a ping found out."""

    model: str
    endpoint: str
    latency_s: float
    detail: str


async def preflight(model: str, options: ModelOptions, *, timeout_s: float = 4.0) -> None:
    """Ask the endpoint, at no cost, whether the key and the model's name are good, as far as it says.

    OpenAI-compatible endpoints have a list of models, Anthropic an entry per model; where there is neither,
    nothing is concluded. Raises: CredentialsError; ModelError when the endpoint cannot be reached at all;
    UsageError of a model script that is none.
    """
    check_model(model, options)
    route = route_of(model, options)
    if route.provider == "anthropic":
        await _ask_anthropic(route, options, timeout_s)
    if route.wire == "openai":
        await _ask_list(model, options, timeout_s)
    if route.wire == "scripted":
        from .factory import endpoint_of

        endpoint_of(model, options)  # reads the script


async def _ask_list(model: str, options: ModelOptions, timeout_s: float) -> None:
    from .factory import endpoint_of
    from .openai_wire import OpenAIWire
    from .wire import WireError

    endpoint = endpoint_of(model, options)
    wire, route = endpoint.wire, endpoint.route
    assert isinstance(wire, OpenAIWire)
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
    if any("*" in name for name in entries) or route.name.startswith("@"):
        return  # a router that serves whatever matches, and OpenRouter's presets, which no list holds
    if route.provider == "openai" and route.base_url != "https://api.openai.com/v1":
        return  # routers and test servers answer to names that they do not list
    if route.name.split(":")[0] in entries:
        return
    close = get_close_matches(route.name, entries, 1, 0.4) or sorted(entries)[:1]
    raise CredentialsError(
        f"the endpoint of {route.model} has no model {route.name!r}; it has {len(entries)}, for example {close[0]!r}"
    )


async def _ask_anthropic(route: Route, options: ModelOptions, timeout_s: float) -> None:
    """GET /v1/models/NAME (Anthropic's Models API). Only its own words are believed: a proxy in its place
    may know nothing of this path."""
    import httpx

    base = options.api_base or os.environ.get("ANTHROPIC_API_BASE") or os.environ.get("ANTHROPIC_BASE_URL")
    url = f"{(base or 'https://api.anthropic.com').rstrip('/')}/v1/models/{route.name.partition('/')[2]}"
    keys = route.keys(options)
    refusals = 0
    hooks = {"response": [bounded]}
    coding = {"Accept-Encoding": ENCODINGS}
    async with httpx.AsyncClient(
        timeout=timeout_s, headers=coding, event_hooks=hooks, **http_options(url)
    ) as client:
        for key in keys:
            try:
                answer = await client.get(url, headers={"x-api-key": key, "anthropic-version": "2023-06-01"})
                error = answer.json().get("error", {}) if answer.status_code in (401, 404) else {}
            except (httpx.HTTPError, ValueError, AttributeError):
                return
            kind, said = error.get("type"), str(error.get("message", ""))
            refusals += kind == "authentication_error"
            if kind == "not_found_error" and route.name.partition("/")[2] in said:
                raise CredentialsError(f"{route.model} does not exist ({said}); check --model")
    if keys and refusals == len(keys):
        raise CredentialsError(f"{route.model} refused the API key; check {' or '.join(route.key_vars)}")


async def ping(model: str, options: ModelOptions) -> Ping:
    """Ask `model` for a few tokens. Raises: CredentialsError, ModelError."""
    from ..message import user
    from .factory import make_client

    await preflight(model, options)
    client = make_client(model, options=options, sampling=Sampling(max_output_tokens=16), scope="ping")
    started = time.perf_counter()
    try:
        result = await client.sample([user("Reply with the word: pong")])
    finally:
        await client.close()
    call = result.call
    cost = "price unknown" if call.usage.cost_usd is None else f"${call.usage.cost_usd:.6f}"
    detail = f"{call.served_model or model}, {result.completion_tokens} tokens, {cost}"
    route = route_of(model, options)
    return Ping(model, route.base_url or route.provider, round(time.perf_counter() - started, 3), detail)
