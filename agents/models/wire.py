"""Wire: how one request reaches a model and comes back, and the values that travel.

A wire makes exactly one attempt. Retries, rate limits, budgets, journals and observers are above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ...tools.toolbox.tool_schema import ToolSchema
from ..message import Message, ToolCall
from .calls import Response, Sampling, TokenLogprob, Usage
from .encoder import Piece
from .prompt import Prompt

FailureKind = Literal[
    "rate",
    "transient",
    "timeout",
    "credentials",
    "missing",
    "overflow",
    "no_tools",
    "parameter",
    "quota",
    "forbidden",
    "sampling",
    "fatal",
]
RETRYABLE: frozenset[FailureKind] = frozenset({"rate", "transient", "timeout"})


class WireError(Exception):
    """One attempt failed. Never leaves `agents/models`.

    `kind` says what may help: a later attempt (rate, transient, timeout), another key (credentials, quota),
    a shorter prompt (overflow), text mode (no_tools), leaving out `parameter`, another sample (sampling: what
    the model wrote could not be read by its server), or nothing (missing). `forbidden` may be the key or this
    prompt, `fatal` is unknown: the diagnosis tries.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        parameter: str | None = None,
        context_window: int | None = None,
        generation: str | None = None,
        connected: bool = True,
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.parameter = parameter
        self.context_window = context_window
        self.generation = generation
        """What the model wrote, of a sampling failure that says it."""
        self.connected = connected
        """False when the endpoint could not be reached at all (refused, no such host)."""


@dataclass(slots=True)
class Request:
    """One call as the client hands it to a wire."""

    scope: str
    index: int
    messages: Sequence[Message]
    prompt: Prompt
    """The same, encoded for the model that was asked for."""
    pieces: Sequence[Piece]
    """What is sent: the prompt's, or rewritten for a fallback or as text."""
    tools: Sequence[ToolSchema]
    """The same list object is passed as long as it does not change."""
    tool_choice: str | Mapping[str, object] | None
    response_format: Mapping[str, object] | None
    sampling: Sampling
    max_output_tokens: int | None
    timeout_s: float
    extra: Mapping[str, object] = field(default_factory=dict[str, object])
    on_text: Callable[[str], None] | None = None
    """Set when the caller streams; hears each piece of text."""
    leave_out: frozenset[str] = frozenset()
    """What this endpoint does not take (`accepts.Features`)."""


@dataclass(slots=True)
class Answer:
    """One sampled message, in one shape for every provider."""

    message: Message
    finish_reason: str
    """stop | length | tool_calls | content_filter | unknown."""
    usage: Usage
    served_model: str | None = None
    prompt_token_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: Sequence[TokenLogprob] | None = None
    cache_write_tokens: int | None = None
    policy_version: str | None = None

    def as_response(self) -> Response:
        message = self.message
        response: Response = {
            "content": message.content,
            "reasoning": message.reasoning,
            "tool_calls": [call._asdict() for call in message.tool_calls],
            "finish_reason": self.finish_reason,
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
                "cached_tokens": self.usage.cached_tokens,
                "reasoning_tokens": self.usage.reasoning_tokens,
                "cost_usd": self.usage.cost_usd,
            },
        }
        if message.extras:
            response["extras"] = message.extras
        if self.logprobs is not None:
            response["logprobs"] = self.logprobs
        return response

    @classmethod
    def from_response(cls, recorded: Mapping[str, Any]) -> Answer:
        """Read what a journal kept: a `response`, or a whole call event that holds one."""
        response = recorded.get("response", recorded)
        usage = response.get("usage") or recorded.get("usage") or {}
        names = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")
        return cls(
            Message(
                "assistant",
                response.get("content") or "",
                response.get("reasoning"),
                tuple(ToolCall(**call) for call in response.get("tool_calls") or ()),
                extras=response.get("extras") or {},
            ),
            finish_reason=response.get("finish_reason") or "unknown",
            usage=Usage(**{name: usage.get(name) for name in names}),
            served_model=recorded.get("served_model"),
            logprobs=response.get("logprobs"),
        )


class Wire(Protocol):
    """One way to reach models."""

    async def ready(self) -> None:
        """Import what the first attempt needs, so that no call's latency counts it. Raises: WireError."""
        ...

    async def attempt(self, request: Request, key: str | None) -> Answer:
        """Raises: WireError; asyncio.CancelledError."""
        ...

    def parameters(self, request: Request) -> frozenset[str] | None:
        """Names of the optional parameters that the request would hold; None where nothing about a request
        can be changed."""
        ...

    async def close(self) -> None: ...
