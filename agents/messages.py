"""message_from_record: AutoGen's message for what the record keeps. AutoGen stays behind this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)


def message_from_record(events: Sequence[Mapping[str, Any]]) -> LLMMessage:
    """One message from its `message` event; the results of one turn's tool calls from all of theirs."""
    first = events[0]
    role, content = first["role"], first["content"]
    if role == "system":
        return SystemMessage(content=content)
    if role == "user":
        return UserMessage(content=content, source="user")
    if role == "tool":
        return FunctionExecutionResultMessage(
            content=[
                FunctionExecutionResult(
                    content=event["content"],
                    name=event["name"] or "",
                    call_id=event["tool_call_id"] or "",
                    is_error=event["error"] is not None,
                )
                for event in events
            ]
        )
    calls = [
        FunctionCall(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])
        for call in first["tool_calls"]
    ]
    return AssistantMessage(
        content=calls or content or " ", thought=first["reasoning"], source=first["agent"]
    )
