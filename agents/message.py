"""Message: one message of a conversation, as the record keeps it: text, reasoning and tool calls together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

MessageRole = Literal["system", "user", "assistant", "tool"]


class ToolCall(NamedTuple):
    """A call as the model wrote it; `arguments` is its raw text, which need not be JSON."""

    id: str
    name: str
    arguments: str

    @classmethod
    def from_openai(cls, call: Mapping[str, object]) -> ToolCall:
        """From OpenAI's shape {id, type, function: {name, arguments}}. Raises: KeyError, TypeError."""
        function = call["function"]
        if not isinstance(function, Mapping):
            raise TypeError("the function of a tool call is not an object")
        return cls(str(call["id"]), str(function["name"]), str(function["arguments"]))

    def to_openai(self) -> dict[str, object]:
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Message:
    """Never changed once made. A tool's result is a message of its own and answers one call."""

    role: MessageRole
    content: str = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """The call that a tool message answers."""
    name: str | None = None
    """The tool of a tool message."""
    error: str | None = None
    """`tool` when the tool failed; None for success and for other roles."""
    images: tuple[str, ...] = ()
    """URLs (`data:` too) that follow the text of a user message."""
    extras: Mapping[str, object] = field(default_factory=dict[str, object], compare=False)
    """What only the endpoint understands and wants back: signed thinking, reasoning details; and under
    `text` the whole text of which tool calls were read."""

    @classmethod
    def from_event(
        cls,
        event: Mapping[str, object],
        extras: Mapping[str, object] | None = None,
        pictures: Mapping[str, str] | None = None,
    ) -> Message:
        """From a `message` event of a record; `extras` from the `call` event of a sampled one; `pictures`:
        what the record names by hash → a URL that can be sent."""
        calls = event.get("tool_calls")
        return cls(
            event["role"],  # type: ignore[arg-type]  # the record's schema holds the four roles
            str(event["content"]),
            _text(event.get("reasoning")),
            tuple(ToolCall.from_openai(call) for call in calls) if isinstance(calls, list) else (),
            _text(event.get("tool_call_id")),
            _text(event.get("name")),
            _text(event.get("error")),
            tuple((pictures or {}).get(name, name) for name in _names(event.get("images"))),
            extras=extras or {},
        )


def system(content: str) -> Message:
    return Message("system", content)


def user(content: str, *images: str) -> Message:
    return Message("user", content, images=images)


def tool_result(call: ToolCall, content: str, *, ok: bool = True) -> Message:
    return Message("tool", content, tool_call_id=call.id, name=call.name, error=None if ok else "tool")


def _names(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
