"""A chat completion as OpenAI documents it, whole or as the chunks of a stream, with what others add to it.

Servers send whatever they like: a value of another type raises one of `openai_answer.SHAPE` where it is used.
"""

from __future__ import annotations

from typing import Any, TypedDict


class CalledFunction(TypedDict, total=False):
    name: str | None
    arguments: object
    """JSON as text; some servers send the object itself."""


class CalledPart(TypedDict, total=False):
    """A tool call, or the part of one that a chunk holds."""

    index: int | None
    id: str | None
    type: str
    function: CalledFunction | None


class Said(TypedDict, total=False):
    """A message, or the delta of one."""

    role: str
    content: object
    """Text, parts, or null."""
    reasoning_content: str | None
    reasoning: object
    refusal: str | None
    tool_calls: list[CalledPart] | None
    function_call: CalledFunction | None
    reasoning_details: list[dict[str, Any]] | None
    """OpenRouter's; sent back as they came."""
    thinking_blocks: list[object] | None
    """litellm's for Anthropic; sent back as they came."""


class PromptDetails(TypedDict, total=False):
    cached_tokens: object
    cache_creation_tokens: object


class CompletionDetails(TypedDict, total=False):
    reasoning_tokens: object


class TokenUsage(TypedDict, total=False):
    prompt_tokens: object
    completion_tokens: object
    prompt_tokens_details: PromptDetails | None
    completion_tokens_details: CompletionDetails | None
    prompt_cache_hit_tokens: object
    cache_read_input_tokens: object
    cache_creation_input_tokens: object
    cost: object


class Logprobs(TypedDict, total=False):
    content: list[Any] | None


class Choice(TypedDict, total=False):
    index: int | None
    error: object
    finish_reason: str | None
    native_finish_reason: str | None
    message: Said | None
    delta: Said | None
    logprobs: Logprobs | None
    token_ids: list[int] | None
    prompt_token_ids: list[int] | None


class Completion(TypedDict, total=False):
    error: object
    model: str | None
    choices: list[Choice] | None
    usage: TokenUsage | None
    prompt_token_ids: list[int] | None
    policy_version: object
