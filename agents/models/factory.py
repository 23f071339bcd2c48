"""make_client: from a model's name to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...tools.errors import UsageError
from .calls import CallObserver, ModelOptions, Sampling
from .catalog import ModelFacts
from .providers import Route, check_model, facts_for, route_of

if TYPE_CHECKING:
    from ..budget import Budget
    from ..journal import CallJournal
    from .client import ModelClient
    from .endpoint import Endpoint
    from .wire import Wire

__all__ = ["check_model", "make_client", "model_facts"]


def make_client(
    model: str,
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    options: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
    scope: str = "",
    observer: CallObserver | None = None,
    journal: CallJournal | None = None,
    budget: Budget | None = None,
    replay_only: bool = False,
) -> ModelClient:
    """A client for `model`. Touches no network; SDKs are imported on the first call.

    `replay_only`: every call must come from `journal`; no key is needed and nothing is ever sent.
    Raises: CredentialsError (as `check_model`); UsageError when the budget is in dollars and a model's price
    is not known; RecordError never here, but from calls when `replay_only` and the journal has no answer.
    """
    from .client import Core, ModelClient
    from .encoder import ToolShapes

    if not replay_only:
        check_model(model, options)
    endpoints = [endpoint_of(name, options, replay_only) for name in (model, *options.fallbacks)]
    if budget is not None and budget.has_usd_limit and not replay_only:
        for endpoint in endpoints:
            if endpoint.route.is_llm and not endpoint.facts.priced:
                raise UsageError(
                    f"the price of {endpoint.model} is not known, so --budget-usd cannot be kept; use --budget-tokens"
                )
    core = Core(endpoints, options, ToolShapes(), replay_only)
    return ModelClient(
        core, scope=scope, sampling=sampling, observer=observer, journal=journal, budget=budget
    )


def model_facts(model: str, options: ModelOptions = ModelOptions()) -> ModelFacts:  # noqa: B008 - frozen
    """Context window and prices of `model`. Raises: CredentialsError for an unknown provider."""
    return facts_for(route_of(model, options))


def endpoint_of(model: str, options: ModelOptions, replay_only: bool = False) -> Endpoint:
    """The model behind its wire, without a client around it. Raises: CredentialsError."""
    from .endpoint import Endpoint

    route = route_of(model, options)
    return Endpoint(route, _wire(route, options, replay_only), options)


def _wire(route: Route, options: ModelOptions, replay_only: bool) -> Wire:
    """The implementations are imported here and nowhere else, each only when a model takes it."""
    if route.wire == "openai" or replay_only:
        from .openai_wire import OpenAIWire

        return OpenAIWire(route, inactivity_s=options.inactivity_s, token_ids=options.token_ids)
    if route.wire == "scripted":
        from .scripted import ScriptedWire

        return ScriptedWire.load(route.name)
    if route.wire == "client":
        from ..autogen.wire import AutoGenWire

        return AutoGenWire(route.name, is_llm=route.is_llm)
    from .litellm_wire import LitellmWire

    return LitellmWire(route, options)
