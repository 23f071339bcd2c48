"""OpenHands' `output.jsonl`: one line per instance, its `history` a list of events.

Both generations of events: actions and observations with `tool_call_metadata`, and the SDK's ActionEvent,
ObservationEvent, MessageEvent and SystemPromptEvent. Rows that hold the conversation itself (`messages`, as published
data sets do) are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .transcript import ImportedMessage, Object, Transcript, calls_of, opened_with, raw, text_of


def is_openhands(data: Object) -> bool:
    return "instance_id" in data and (
        isinstance(data.get("history"), list) or isinstance(data.get("messages"), list)
    )


def from_openhands(data: Object, name: str) -> Transcript:
    result = data.get("test_result")
    result = result if isinstance(result, dict) else {}
    instance = data.get("instance")
    instance = instance if isinstance(instance, dict) else {}
    if data.get("history"):
        messages, tools = _history(data["history"])
    else:
        messages, tools = [_plain(message) for message in data.get("messages") or ()], []
    if not any(message.role == "user" for message in messages) and data.get("instruction"):
        messages.insert(
            1 if messages and messages[0].role == "system" else 0,
            ImportedMessage("user", data["instruction"]),
        )
    config = (data.get("metadata") or {}).get("llm_config") or (data.get("metadata") or {}).get("llm") or {}
    report = result.get("report") or data.get("report")
    resolved = report.get("resolved") if isinstance(report, dict) else data.get("resolved")
    return Transcript(
        "openhands",
        str(data["instance_id"]),
        messages,
        str(config.get("model") or data.get("model") or "unknown"),
        tools,
        patch=result.get("git_patch") or data.get("git_patch"),
        exit="error" if data.get("error") else None,
        resolved=resolved if isinstance(resolved, bool) else None,
        problem=instance.get("problem_statement") or opened_with(messages),
        repository=instance.get("repo"),
        base_commit=instance.get("base_commit"),
    )


def _plain(message: Object) -> ImportedMessage:
    role = str(message.get("role"))
    return ImportedMessage(
        role,
        text_of(message.get("content")),
        calls_of(message),
        answers=message.get("tool_call_id"),
        sampled=role == "assistant",
    )


def _history(history: list[Any]) -> tuple[list[ImportedMessage], list[dict[str, Any]]]:
    messages: list[ImportedMessage] = []
    tools: list[dict[str, Any]] = []
    seen: set[str] = set()
    for event in history:
        pair = event if isinstance(event, list) else [event]  # old files pair an action with its observation
        for item in pair:
            offered = item.get("tools") or (item.get("args") or {}).get("tools")
            if isinstance(offered, list) and not tools:
                tools = [tool for tool in offered if isinstance(tool, dict)]
            messages += _sdk(item, seen) if "kind" in item else _event(item, seen)
    return messages, tools


def _event(event: Object, seen: set[str]) -> Iterator[ImportedMessage]:
    """An action or observation. One answer of the model may have become several actions: it is told once."""
    meta = event.get("tool_call_metadata") or {}
    arguments = event.get("args") or {}
    if "observation" in event:
        if meta.get("tool_call_id"):
            yield ImportedMessage("tool", text_of(event.get("content")), answers=str(meta["tool_call_id"]))
    elif event.get("action") == "system":
        yield ImportedMessage("system", text_of(arguments.get("content")))
    elif meta:
        response = meta.get("model_response") or {}
        if (id := str(response.get("id") or meta.get("tool_call_id"))) not in seen:
            seen.add(id)
            message = ((response.get("choices") or [{}])[0]).get("message") or {}
            usage = response.get("usage") or {}
            yield ImportedMessage(
                "assistant",
                text_of(message.get("content")),
                calls_of(message),
                sampled=True,
                reasoning=message.get("reasoning_content"),
                prompt_tokens=usage.get("prompt_tokens"),
                completion_tokens=usage.get("completion_tokens"),
            )
    elif event.get("action") == "message":
        mine = event.get("source") == "agent"
        yield ImportedMessage(
            "assistant" if mine else "user", text_of(arguments.get("content")), sampled=mine
        )


def _sdk(event: Object, seen: set[str]) -> Iterator[ImportedMessage]:
    kind = event["kind"]
    if kind == "SystemPromptEvent":
        prompt = event.get("system_prompt")
        yield ImportedMessage("system", text_of(prompt.get("text") if isinstance(prompt, dict) else prompt))
    elif kind == "MessageEvent":
        message = event.get("llm_message") or {}
        role = str(message.get("role", "user"))
        yield ImportedMessage(role, text_of(message.get("content")), sampled=role == "assistant")
    elif kind == "ActionEvent":
        call = event.get("tool_call") or {}
        function = call.get("function") or call
        name = str(event.get("tool_name") or function.get("name") or "")
        arguments = raw(function.get("arguments") if "arguments" in function else event.get("action"))
        id = str(event.get("tool_call_id") or call.get("id") or "")
        yield ImportedMessage(
            "assistant",
            text_of(event.get("thought")),
            ((id, name, arguments),),
            sampled=True,
            reasoning=event.get("reasoning_content"),
        )
    elif kind in ("ObservationEvent", "AgentErrorEvent", "UserRejectObservation"):
        seen_by = event.get("observation")
        content = seen_by.get("content") if isinstance(seen_by, dict) else event.get("error")
        yield ImportedMessage("tool", text_of(content), answers=str(event.get("tool_call_id") or ""))
