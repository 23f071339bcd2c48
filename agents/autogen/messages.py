"""Messages between AutoGen's shapes and ours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from ..message import Message, ToolCall, system, user


def to_autogen(messages: Sequence[Message]) -> list[LLMMessage]:
    """The results of one turn's calls become one message, as AutoGen keeps them; what a model said beside
    its calls goes into `thought`, the only place for it."""
    found: list[LLMMessage] = []
    for is_tool, group in groupby(messages, lambda message: message.role == "tool"):
        if is_tool:
            found.append(FunctionExecutionResultMessage(content=[_result(message) for message in group]))
        else:
            found += map(_to_autogen, group)
    return found


def _to_autogen(message: Message) -> LLMMessage:
    if message.role == "system":
        return SystemMessage(content=message.content)
    if message.role == "user":
        return UserMessage(content=message.content, source="user")
    calls = [FunctionCall(id=c.id, name=c.name, arguments=c.arguments) for c in message.tool_calls]
    thought = (message.content if calls else None) or message.reasoning
    return AssistantMessage(content=calls or message.content or " ", thought=thought, source="assistant")


def _result(message: Message) -> FunctionExecutionResult:
    return FunctionExecutionResult(
        content=message.content,
        name=message.name or "",
        call_id=message.tool_call_id or "",
        is_error=message.error is not None,
    )


def from_autogen(messages: Sequence[LLMMessage]) -> list[Message]:
    """Raises: TypeError for what is not a message of AutoGen."""
    return [ours for message in messages for ours in _from_autogen(message)]


def _from_autogen(message: LLMMessage) -> list[Message]:
    if isinstance(message, SystemMessage):
        return [system(message.content)]
    if isinstance(message, UserMessage):
        parts = [message.content] if isinstance(message.content, str) else message.content
        text = "\n".join(part for part in parts if isinstance(part, str))
        return [user(text, *(part.data_uri for part in parts if not isinstance(part, str)))]
    if isinstance(message, FunctionExecutionResultMessage):
        return [
            Message(
                "tool",
                result.content,
                tool_call_id=result.call_id,
                name=result.name,
                error="tool" if result.is_error else None,
            )
            for result in message.content
        ]
    if isinstance(message, AssistantMessage):
        if isinstance(message.content, str):
            return [Message("assistant", message.content, message.thought)]
        calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in message.content)
        # The thought may be text or reasoning; as text nothing is lost.
        return [Message("assistant", message.thought or "", tool_calls=calls)]
    raise TypeError(f"not a message of AutoGen: {type(message).__name__}")
