"""What one model call was: the values that the client reports and the record keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NotRequired, Protocol, TypedDict


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; None leaves the endpoint's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and dollars of one call. None is "not reported" or "price unknown", never zero."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None


class TokenLogprob(TypedDict):
    """One entry of OpenAI's logprobs.content."""

    logprob: float
    token: NotRequired[str]
    bytes: NotRequired[Sequence[int] | None]
    top_logprobs: NotRequired[Sequence[TokenLogprob] | None]


class Response(TypedDict):
    """What a journal keeps of an answer: enough to answer again without the model."""

    content: str
    reasoning: str | None
    tool_calls: Sequence[Mapping[str, str]]
    """{id, name, arguments}, the last as the model wrote it."""
    finish_reason: str
    usage: Mapping[str, int | float | None]
    extras: NotRequired[Mapping[str, object]]
    logprobs: NotRequired[Sequence[TokenLogprob]]


@dataclass(frozen=True, slots=True)
class Call:
    """One sampled message, as the client knows it."""

    scope: str
    """Who asked, by path in the search tree and turn (`n3/coder/1`); stable under a seed."""
    index: int
    """Number of the call within its scope, from 0."""
    request_sha256: str
    model: str
    served_model: str | None
    is_llm: bool
    sampling: Sampling
    finish_reason: str
    usage: Usage
    latency_s: float
    attempts: int
    response: Response
    prompt_token_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    replayed: bool = False
    """Answered from the journal; nothing was paid."""
    prompt_sha256: str | None = None
    """`prompt_digest.prompt_sha256` of the messages that were sent; the record checks its path against it."""
    policy_version: str | None = None
    """Which weights answered, where the endpoint says (a training loop swaps them)."""


class CallObserver(Protocol):
    """Hears of every call as soon as it is paid for, before its answer is used."""

    def called(self, call: Call) -> None: ...

    def call_failed(
        self, *, scope: str, index: int, model: str, kind: str, error: str, attempts: int
    ) -> None: ...


class RetryObserver(Protocol):
    """What an observer may offer as well: it then hears of each attempt that failed and will be repeated."""

    def call_retried(
        self, *, scope: str, index: int, model: str, error: str, attempts: int, wait_s: float
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How endpoints are reached; the same for every role of a run."""

    api_base: str | None = None
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    fallbacks: tuple[str, ...] = ()
    timeout_s: float = 600.0
    max_retry_s: float = 300.0
    text_mode: bool | None = None
    """Tools as fenced text; None: only where the model is known not to take tools."""
    inactivity_s: float = 120.0
    """How long a stream may be silent."""
    stream: bool = False
    """Stream every call, so that `inactivity_s` guards it even when nobody listens."""
    token_ids: bool | None = None
    """Ask for token ids (vLLM's `return_token_ids`); None: where the endpoint is known to have them."""
