"""Messages: AutoGen messages as chat-completions messages, each serialised once.

A history only grows, so the bytes of every message are kept with the message object (weakly) and a request
body is the join of its pieces: the cost of a step does not grow with the number of steps.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from .prompt_digest import link
from .providers import ReasoningStyle
from .wire import Answer

Chat = dict[str, Any]


def dumps(value: Any) -> bytes:
    """Compact JSON. A lone surrogate, which is not UTF-8 and which endpoints refuse, becomes `?`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Piece:
    """One AutoGen message as it travels: one chat message, or several for a set of tool results."""

    role: str
    chats: tuple[Chat, ...]
    wire: bytes
    """The chats as JSON, joined by commas."""
    digest: bytes
    """SHA-256 of what the message says: of an assistant message with tool calls, the calls (what else it
    said came with them, and a conversation rebuilt from a record may not have it)."""
    links: tuple[bytes, ...]
    """`prompt_digest.link` of each chat."""
    reasoned: Piece | None = None
    """The same with its reasoning, where the provider wants that back."""
    call_ids: tuple[str, ...] = ()


class Memory:
    """What was sampled, by what it says: the parts of an answer that an AssistantMessage cannot carry.

    Keyed by value, not by object, so that it holds for forks and for conversations rebuilt from a record.
    """

    def __init__(self) -> None:
        self._answers: dict[tuple[Any, ...], Answer] = {}

    def keep(self, answer: Answer) -> None:
        if answer.extras or answer.reasoning or (answer.tool_calls and answer.content):
            calls = [(call["id"], call["arguments"]) for call in answer.tool_calls]
            self._answers[tuple(calls) if calls else (answer.content, answer.reasoning)] = answer

    def find(self, message: AssistantMessage) -> Answer | None:
        content = message.content
        if isinstance(content, str):
            return self._answers.get((content, message.thought))
        return self._answers.get(tuple((call.id, call.arguments) for call in content))


class Encoder:
    """Encodes for one provider's style; keeps every message's piece as long as the message lives."""

    def __init__(self, memory: Memory, reasoning: ReasoningStyle = "none") -> None:
        self._memory = memory
        self._reasoning: ReasoningStyle = reasoning
        self._pieces: dict[int, tuple[weakref.ref[Any], Any, Piece]] = {}

    def pieces(self, messages: Sequence[LLMMessage]) -> list[Piece]:
        """One piece per message. Raises: TypeError for what is not an AutoGen message."""
        return [self._piece(message) for message in messages]

    def _piece(self, message: LLMMessage) -> Piece:
        key = id(message)
        known = self._pieces.get(key)
        if known is not None and known[0]() is message and known[1] is message.content:
            return known[2]
        piece = self._encode(message)

        def forget(_: Any, key: int = key, pieces: dict[int, Any] = self._pieces) -> None:
            pieces.pop(key, None)

        self._pieces[key] = (weakref.ref(message, forget), message.content, piece)
        return piece

    def _encode(self, message: LLMMessage) -> Piece:
        if isinstance(message, SystemMessage):
            return piece_of("system", {"role": "system", "content": message.content})
        if isinstance(message, UserMessage):
            return piece_of("user", {"role": "user", "content": _user_content(message.content)})
        if isinstance(message, FunctionExecutionResultMessage):
            results = [
                {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
                for result in message.content
            ]
            return piece_of("tool", *results)
        if isinstance(message, AssistantMessage):
            return self._assistant(message)
        raise TypeError(f"not a message of AutoGen: {type(message).__name__}")

    def _assistant(self, message: AssistantMessage) -> Piece:
        answer = self._memory.find(message)
        calls: list[FunctionCall] = [] if isinstance(message.content, str) else message.content
        chat: Chat = {"role": "assistant"}
        if isinstance(message.content, str):
            chat["content"] = message.content
        else:
            # Without the answer at hand the thought may be text or reasoning; as text nothing is lost.
            text = answer.content if answer is not None else message.thought
            chat["content"] = text or None
            chat["tool_calls"] = [
                {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                for c in calls
            ]
        return piece_of(
            "assistant",
            chat,
            call_ids=tuple(call.id for call in calls),
            reasoned=_reasoned(chat, answer, self._reasoning) if answer is not None else None,
        )


def piece_of(role: str, *chats: Chat, call_ids: tuple[str, ...] = (), reasoned: Chat | None = None) -> Piece:
    """Encode the chat messages that one AutoGen message becomes."""
    wire = b",".join(map(dumps, chats))
    said = dumps(["assistant", chats[0]["tool_calls"]]) if call_ids else wire
    return Piece(
        role,
        chats,
        wire,
        hashlib.sha256(said).digest(),
        tuple(map(link, chats)),
        None if reasoned is None else piece_of(role, reasoned),
        call_ids,
    )


def _user_content(content: str | Sequence[str | Image]) -> str | list[Chat]:
    if isinstance(content, str):
        return content
    return [
        {"type": "text", "text": part} if isinstance(part, str) else dict(part.to_openai_format())
        for part in content
    ]


def _reasoned(chat: Chat, answer: Answer, style: ReasoningStyle) -> Chat | None:
    if style == "reasoning_content" and answer.reasoning:
        return {**chat, "reasoning_content": answer.reasoning}
    if style in ("reasoning_details", "thinking_blocks") and answer.extras.get(style):
        return {**chat, style: answer.extras[style]}
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
        *before, last = pieces[i].chats
        changed = _marked(last)
        if changed is not None:
            chats = (*before, changed)
            piece = pieces[i]
            marked[i] = replace(piece, chats=chats, wire=b",".join(map(dumps, chats)), reasoned=None)
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
    """Tool schemas in OpenAI's shape with their bytes, kept per list of tools."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[Any, list[Chat], bytes]] = {}

    def shapes(self, tools: Sequence[Any]) -> tuple[list[Chat], bytes]:
        """Takes OpenAI shapes, AutoGen ToolSchemas, or AutoGen Tools."""
        key = tuple(map(id, tools))
        known = self._known.get(key)
        if known is None:
            shapes = [_shape(tool) for tool in tools]
            if len(self._known) >= 64:
                self._known.clear()
            # The tools are kept too: an id means nothing once its object is gone.
            known = self._known[key] = (list(tools), shapes, dumps(shapes))
        return known[1], known[2]


def _shape(tool: Any) -> Chat:
    schema: Mapping[str, Any] = tool if isinstance(tool, Mapping) else tool.schema
    if schema.get("type") == "function" and "function" in schema:
        return dict(schema)
    function: Chat = {"name": schema["name"], "description": schema.get("description", "")}
    parameters = schema.get("parameters")
    if parameters is not None:
        function["parameters"] = parameters
    if schema.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}
