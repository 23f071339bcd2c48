"""Encoder: messages as chat-completions JSON, each serialised once.

A history only grows, so the bytes of every message are kept with the message object (weakly) and a request
body is the join of its pieces: the cost of a step does not grow with the number of steps.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...tools.toolbox.tool_schema import ToolSchema
from ..message import Message
from .arguments import sendable
from .prompt_digest import link
from .providers import ReasoningStyle

Chat = dict[str, Any]


def dumps(value: Any) -> bytes:
    """Compact JSON. A lone surrogate, which is not UTF-8 and which endpoints refuse, becomes `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Piece:
    """One message as it travels."""

    role: str
    chat: Chat
    wire: bytes
    """The chat as JSON."""
    digest: bytes
    """SHA-256 of what the message says: of an assistant message with tool calls, the calls."""
    link: bytes
    """`prompt_digest.link` of the chat."""
    reasoned: Piece | None = None
    """The same with its reasoning, where the provider wants that back."""
    call_ids: tuple[str, ...] = ()


class Encoder:
    """Encodes for one provider's style; keeps every message's piece as long as the message lives."""

    def __init__(self, reasoning: ReasoningStyle = "none") -> None:
        self._reasoning: ReasoningStyle = reasoning
        self._pieces: dict[int, tuple[weakref.ref[Message], Piece]] = {}

    def pieces(self, messages: Sequence[Message]) -> list[Piece]:
        """One piece per message."""
        return [self._piece(message) for message in messages]

    def _piece(self, message: Message) -> Piece:
        key = id(message)
        known = self._pieces.get(key)
        if known is not None and known[0]() is message:
            return known[1]
        piece = self._encode(message)

        def forget(_: Any, key: int = key, pieces: dict[int, Any] = self._pieces) -> None:
            pieces.pop(key, None)

        self._pieces[key] = (weakref.ref(message, forget), piece)
        return piece

    def _encode(self, message: Message) -> Piece:
        chat = chat_of(message)
        return piece_of(
            chat,
            said=chat_of(message, repair=False) if message.tool_calls else None,
            call_ids=tuple(call.id for call in message.tool_calls),
            reasoned=_reasoned(chat, message, self._reasoning) if message.role == "assistant" else None,
        )


def chat_of(message: Message, *, repair: bool = True) -> Chat:
    """OpenAI's shape of a message, without its reasoning. Arguments that are no JSON object go as one (with
    `repair`): some endpoints parse those of earlier calls, and would refuse the conversation for ever."""
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
    if message.images:
        parts = [{"type": "text", "text": message.content}] if message.content else []
        images = [{"type": "image_url", "image_url": {"url": url}} for url in message.images]
        return {"role": message.role, "content": [*parts, *images]}
    if message.tool_calls:
        calls = [
            (call._replace(arguments=sendable(call.arguments)) if repair else call).to_openai()
            for call in message.tool_calls
        ]
        return {"role": "assistant", "content": message.content or None, "tool_calls": calls}
    # Some endpoints refuse an empty message.
    return {"role": message.role, "content": message.content or " "}


def piece_of(
    chat: Chat, *, said: Chat | None = None, call_ids: tuple[str, ...] = (), reasoned: Chat | None = None
) -> Piece:
    """Encode one chat message; `said` is the same as the record keeps it, where that differs."""
    wire = dumps(chat)
    said = said or chat
    digested = dumps(["assistant", said["tool_calls"]]) if call_ids else wire
    return Piece(
        chat["role"],
        chat,
        wire,
        hashlib.sha256(digested).digest(),
        link(said),
        None if reasoned is None else piece_of(reasoned),
        call_ids,
    )


def _reasoned(chat: Chat, message: Message, style: ReasoningStyle) -> Chat | None:
    if style == "reasoning_content" and message.reasoning:
        return {**chat, "reasoning_content": message.reasoning}
    if style in ("reasoning_details", "thinking_blocks") and message.extras.get(style):
        return {**chat, style: message.extras[style]}
    return None


def with_reasoning(pieces: Sequence[Piece], style: ReasoningStyle) -> list[Piece]:
    """Choose for each message whether its reasoning goes back.

    DeepSeek (and templates of open models made after it) want `reasoning_content` inside the running tool
    loop and refuse or ignore it from before the last user message (DeepSeek API docs, "Thinking Mode");
    OpenRouter's `reasoning_details` and Anthropic's signed thinking blocks go back whole and unchanged.
    """
    if style == "none":
        return list(pieces)
    chosen = list(pieces)
    for i in range(len(chosen) - 1, -1, -1):
        piece = chosen[i]
        if piece.reasoned is not None:
            chosen[i] = piece.reasoned
        elif piece.role == "user" and style == "reasoning_content":
            break
    return chosen


def with_cache_control(pieces: Sequence[Piece]) -> list[Piece]:
    """Mark the system prompt and the last two messages for Anthropic's prompt cache
    (`cache_control: {type: ephemeral}` on the last content block; at most four marks per request)."""
    marked = list(pieces)
    wanted = {i for i, piece in enumerate(pieces[:1]) if piece.role == "system"}
    wanted.update(range(max(0, len(pieces) - 2), len(pieces)))
    for i in sorted(wanted):
        changed = _marked(pieces[i].chat)
        if changed is not None:
            marked[i] = replace(pieces[i], chat=changed, wire=dumps(changed), reasoned=None)
    return marked


def _marked(chat: Chat) -> Chat | None:
    mark = {"cache_control": {"type": "ephemeral"}}
    content = chat.get("content")
    if isinstance(content, str) and content.strip():
        return {**chat, "content": [{"type": "text", "text": content, **mark}]}
    if isinstance(content, list) and content and content[-1].get("type") == "text":
        return {**chat, "content": [*content[:-1], {**content[-1], **mark}]}
    return None


class ToolShapes:
    """Lists of tools (OpenAI's shapes) with their bytes, each serialised once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Sequence[ToolSchema], bytes]] = {}

    def wire(self, tools: Sequence[ToolSchema]) -> bytes:
        """The JSON of `tools`, kept as long as the same list is given."""
        known = self._known.get(id(tools))
        if known is None or known[0] is not tools:
            if len(self._known) >= 64:
                self._known.clear()
            # The list is kept too: an id means nothing once its object is gone.
            known = self._known[id(tools)] = (tools, dumps(list(tools)))
        return known[1]
