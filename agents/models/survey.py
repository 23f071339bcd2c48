"""survey: what an endpoint takes, found out by asking for each thing once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..message import Message, ToolCall, system, tool_result, user
from .calls import ModelOptions, Sampling
from .endpoint import Endpoint
from .factory import endpoint_of
from .failures import window_of
from .openai_wire import OpenAIWire
from .prompt import History
from .wire import Answer, Request, WireError

_ASK = "Reply with the word: pong"
_TOOL = {
    "type": "function",
    "function": {
        "name": "pong",
        "description": "Answers a ping. Call it.",
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    },
}
_WINDOW_NAMES = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx")
"""Where vLLM, OpenRouter, Groq, LM Studio and llama.cpp name it."""
_ABSURD = 99_000_000
_CALL = ToolCall("call_0123456789abcdef", "pong", "{}")
_AFTER = [
    user(_ASK),
    Message("assistant", tool_calls=(_CALL,)),
    tool_result(_CALL, "pong"),
    user("Once more."),
]


@dataclass(frozen=True, slots=True)
class Trait:
    """One thing that was tried. `taken` None: it was not refused, and not seen to work either."""

    name: str
    taken: bool | None
    detail: str = ""


async def survey(model: str, options: ModelOptions) -> list[Trait]:
    """One short request per trait. Empty for models behind no endpoint, and for one that refuses even the
    plainest request. Raises: CredentialsError."""
    endpoint = endpoint_of(model, options)
    try:
        plain = _request(endpoint, [user(_ASK)])
        if endpoint.wire.parameters(plain) is None or isinstance(await _try(endpoint, plain), WireError):
            return []
        heard: list[str] = []
        sampled = {
            "system role": _request(endpoint, [system("You answer pings."), user(_ASK)]),
            "streaming": replace(plain, on_text=heard.append),
            "temperature": replace(plain, sampling=Sampling(temperature=0.5)),
            "seed": replace(plain, sampling=Sampling(seed=1)),
            "token limit": replace(plain, max_output_tokens=64),
            "logprobs": replace(plain, sampling=Sampling(logprobs=2)),
            "tools": replace(plain, tools=(_TOOL,)),
            "user after tool": replace(_request(endpoint, _AFTER), tools=(_TOOL,)),
        }
        traits = [_trait(name, await _try(endpoint, request)) for name, request in sampled.items()]
        traits.append(await _window(endpoint, plain))
        return traits
    finally:
        await endpoint.close()


async def _window(endpoint: Endpoint, plain: Request) -> Trait:
    """The context window: by the endpoint's list of models, else by what it answers to an absurd limit of tokens,
    else by the catalog."""
    for entry in await _listed(endpoint):
        if entry.get("id") in (endpoint.route.name, endpoint.route.model):
            named = [entry[name] for name in _WINDOW_NAMES if isinstance(entry.get(name), int)]
            if named:
                return Trait("window", True, f"{named[0]} tokens, by its list of models")
    refused = await _try(endpoint, replace(plain, max_output_tokens=_ABSURD))
    said = window_of(str(refused)) if isinstance(refused, WireError) else None
    if said is not None and said != _ABSURD:
        return Trait("window", True, f"{said} tokens, by its refusal of {_ABSURD}")
    known = endpoint.context_window
    return Trait(
        "window", None, f"{known} tokens, by the catalog" if known else "unknown, learned from refusals"
    )


async def _listed(endpoint: Endpoint) -> list[Mapping[str, object]]:
    if not isinstance(endpoint.wire, OpenAIWire):
        return []
    try:
        return await endpoint.wire.models((endpoint.route.keys(endpoint.options) or (None,))[0], 10.0)
    except WireError:
        return []


def _request(endpoint: Endpoint, messages: Sequence[Message]) -> Request:
    prompt = History(endpoint.encoder).prompt(messages)
    return Request("survey", 0, messages, prompt, prompt.pieces, (), None, None, Sampling(), None, 60.0)


async def _try(endpoint: Endpoint, request: Request) -> Answer | WireError:
    keys = endpoint.route.keys(endpoint.options) or (None,)
    try:
        await endpoint.wire.ready()
        return await endpoint.wire.attempt(request, keys[0])
    except WireError as error:
        return WireError(error.kind, endpoint.masked(str(error)), status=error.status)


def _trait(name: str, outcome: Answer | WireError) -> Trait:
    if isinstance(outcome, WireError):
        known = outcome.status is not None and outcome.status not in (408, 429) and outcome.status < 502
        return Trait(name, False if known else None, str(outcome)[:160])
    if name == "tools" and not outcome.message.tool_calls:
        return Trait(name, None, "not refused, but the model called none")
    if name == "logprobs" and not outcome.logprobs:
        return Trait(name, None, "not refused, but none came")
    return Trait(name, True)


def table(model: str, traits: Sequence[Trait]) -> str:
    """The traits as a Markdown table, for people and for bug reports."""
    rows = [f"| {model} | takes it | |", "|---|---|---|"]
    for trait in traits:
        taken = {True: "yes", False: "no", None: "?"}[trait.taken]
        detail = trait.detail.replace("|", "/")
        rows.append(f"| {trait.name} | {taken} | {detail} |")
    return "\n".join(rows)
