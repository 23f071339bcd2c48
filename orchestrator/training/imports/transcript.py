"""Transcript: one foreign trajectory as far as it is known, before it becomes part of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]
"""A JSON object of a file that somebody else wrote."""


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """One message. What the file does not say is None."""

    role: str
    content: str
    calls: tuple[tuple[str, str, str], ...] = ()
    """(id, name, arguments as the raw string)."""
    answers: str | None = None
    """Id of the call whose result this is."""
    sampled: bool = False
    reasoning: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    token_ids: tuple[int, ...] | None = None
    prompt_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """One trajectory of one instance."""

    format: str
    instance: str
    messages: Sequence[ImportedMessage]
    model: str
    tools: Sequence[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    patch: str | None = None
    exit: str | None = None
    """How the program that ran it says that it ended."""
    resolved: bool | None = None
    problem: str | None = None
    repository: str | None = None
    base_commit: str | None = None
    unnamed: bool = False
    """The file does not say its instance; `instance` is what the file is called."""


def text_of(content: Any) -> str:
    """A content that is a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text", "[not text]") if isinstance(part, dict) else str(part) for part in content)
        return "\n".join(map(str, parts))
    return ""


def calls_of(message: Object) -> tuple[tuple[str, str, str], ...]:
    """OpenAI's `tool_calls`."""
    found: list[tuple[str, str, str]] = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        found.append((str(call.get("id", "")), str(function.get("name", "")), raw(function.get("arguments"))))
    return tuple(found)


def raw(arguments: Any) -> str:
    """Arguments as the string that was sampled; an object is written as JSON."""
    import json

    return arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)


def opened_with(messages: Sequence[ImportedMessage]) -> str:
    """The first thing that a user says: where nothing else states the problem, it does."""
    return next((message.content for message in messages if message.role == "user"), "")
