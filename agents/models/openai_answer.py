"""Reading chat completions, as OpenAI shapes them, into Answers. Streams of them: `openai_stream`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..message import Message, ToolCall
from .arguments import MOST_DEPTH, too_deep
from .calls import Usage
from .completion import Choice, Completion, Said, TokenUsage
from .failures import from_body
from .wire import Answer, WireError

_FINISH = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "end_turn": "stop",
    "eos": "stop",
}


_FAILED = frozenset(
    {"error", "failed", "abort", "aborted", "cancelled", "canceled", "network_error", "server_error"}
)
"""Reasons to end that are the endpoint's failure, never the model's answer."""
SHAPE = (AttributeError, TypeError, KeyError, ValueError, IndexError, RecursionError)
"""What reading a value of the wrong JSON type, or one nested without end, raises."""


def read_completion(body: bytes | Completion) -> Answer:
    """A whole chat completion. Raises: WireError (transient) when it is cut or is not one."""
    parsed: Any = body
    if isinstance(body, bytes):
        try:
            parsed = loads(body)
        except (ValueError, RecursionError):
            raise WireError("transient", f"the answer is not JSON, or was cut: {body[:80]!r}") from None
    try:
        return _read(parsed)
    except SHAPE as error:
        raise WireError("transient", f"the answer is not a chat completion ({error})") from None


def loads(text: str | bytes) -> Any:
    """Raises: ValueError also for what is nested too deeply to be read, masked and recorded."""
    value = json.loads(text)
    opened = (
        text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    )
    if opened > MOST_DEPTH and too_deep(value):
        raise ValueError("nested too deeply")
    return value


def _read(parsed: Any) -> Answer:
    if not isinstance(parsed, Mapping):
        raise WireError("transient", "the answer is not a chat completion")
    if parsed.get("error"):
        raise from_body(parsed["error"])
    choices = parsed.get("choices")
    if not choices:
        raise WireError("transient", "the answer holds no choices")
    choice = choices[0]
    if choice.get("error"):
        raise from_body(choice["error"])
    check_finish(choice)
    return build(
        choice.get("message") or {},
        choice.get("finish_reason"),
        parsed.get("usage"),
        model=parsed.get("model"),
        policy_version=parsed.get("policy_version"),
        logprobs=(choice.get("logprobs") or {}).get("content"),
        token_ids=choice.get("token_ids"),
        prompt_token_ids=parsed.get("prompt_token_ids") or choice.get("prompt_token_ids"),
    )


def check_finish(choice: Choice) -> None:
    """Raises: WireError for a choice that says of itself that it is none: the provider behind an aggregator
    failed (OpenRouter: `error`), or the server could not read what its model wrote (Gemini)."""
    finish = str(choice.get("finish_reason") or "")
    native = str(choice.get("native_finish_reason") or "")
    if "MALFORMED" in f"{finish} {native}".upper() and not (choice.get("message") or {}).get("tool_calls"):
        said = (choice.get("message") or choice.get("delta") or {}).get("content")
        raise WireError(
            "sampling", f"the endpoint could not read the model's call ({finish})", generation=text_of(said)
        )
    if finish.lower() in _FAILED:
        raise WireError(
            "transient",
            f"the endpoint ended its answer with {finish!r}" + (f" ({native})" if native else ""),
            status=200,
        )


def build(
    message: Said,
    finish: str | None,
    usage: TokenUsage | None,
    *,
    model: str | None = None,
    policy_version: Any = None,
    logprobs: list[Any] | None = None,
    token_ids: list[int] | None = None,
    prompt_token_ids: list[int] | None = None,
) -> Answer:
    """An Answer from the parts of a chat completion."""
    calls: list[ToolCall] = []
    raw_calls = message.get("tool_calls") or ()
    if not raw_calls and (function := message.get("function_call")):
        raw_calls = [{"function": function}]
    for call in raw_calls:
        function = call.get("function") or {}
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = "{}" if arguments is None else json.dumps(arguments, ensure_ascii=False)
        calls.append(ToolCall(str(call.get("id") or ""), str(function.get("name") or ""), arguments))
    reason = _FINISH.get(finish or "", "unknown")
    refusal = message.get("refusal")
    if calls and reason in ("stop", "unknown"):
        reason = "tool_calls"
    elif refusal and not calls:
        reason = "content_filter"
    reasoning, plain = message.get("reasoning_content"), message.get("reasoning")
    if reasoning is None and isinstance(plain, str):
        reasoning = plain
    extras = {name: kept for name in ("reasoning_details", "thinking_blocks") if (kept := message.get(name))}
    return Answer(
        Message(
            "assistant",
            text_of(message.get("content")) or (refusal if isinstance(refusal, str) else ""),
            reasoning or None,
            tuple(calls),
            extras=extras,
        ),
        finish_reason=reason,
        usage=read_usage(usage),
        served_model=model,
        prompt_token_ids=None if prompt_token_ids is None else tuple(prompt_token_ids),
        token_ids=None if token_ids is None else tuple(token_ids),
        logprobs=_logprobs(logprobs),
        cache_write_tokens=_cache_writes(usage),
        policy_version=None if policy_version is None else str(policy_version),
    )


def _logprobs(entries: Any) -> list[Any] | None:
    """Only whole lists: one missing number would shift every token after it."""
    if not isinstance(entries, list) or not entries:
        return None
    numbers = (entry.get("logprob") if isinstance(entry, Mapping) else None for entry in entries)
    return entries if all(isinstance(number, (int, float)) for number in numbers) else None


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return ""


def _number(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_usage(usage: TokenUsage | None) -> Usage:
    """OpenAI's usage object; DeepSeek's and Anthropic's names for cached tokens; OpenRouter's cost."""
    if not usage:
        return Usage()
    prompt_details = usage.get("prompt_tokens_details") or {}
    completion_details = usage.get("completion_tokens_details") or {}
    cached = _number(prompt_details.get("cached_tokens"))
    if cached is None:
        cached = _number(usage.get("prompt_cache_hit_tokens"))
    if cached is None:
        cached = _number(usage.get("cache_read_input_tokens"))
    cost = usage.get("cost")
    return Usage(
        prompt_tokens=_number(usage.get("prompt_tokens")),
        completion_tokens=_number(usage.get("completion_tokens")),
        cached_tokens=cached,
        reasoning_tokens=_number(completion_details.get("reasoning_tokens")),
        cost_usd=float(cost) if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None,
    )


def _cache_writes(usage: TokenUsage | None) -> int | None:
    if not usage:
        return None
    return _number(usage.get("cache_creation_input_tokens")) or _number(
        (usage.get("prompt_tokens_details") or {}).get("cache_creation_tokens")
    )
