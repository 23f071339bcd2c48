"""SWE-agent's `<instance>.traj` and mini-swe-agent's `<instance>.traj.json`.

Fields by their documentation: https://swe-agent.com/latest/usage/trajectories/ (`history`, `info`, `trajectory`)
and `DefaultAgent.serialize` of mini-swe-agent 2 (`messages`, `info`, `trajectory_format`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

from .transcript import ImportedMessage, Object, Transcript, calls_of, opened_with, text_of

_SENT = ("system", "user", "assistant", "tool")


def is_traj(data: Object) -> bool:
    """A demonstration has a `history` alone."""
    history = data.get("history")
    return isinstance(history, list) and all(isinstance(item, dict) and "role" in item for item in history)


def is_mini(data: Object) -> bool:
    return isinstance(data.get("messages"), list) and isinstance(data.get("info"), dict)


def from_traj(data: Object, name: str) -> Transcript:
    """A conversation whose demonstrations (`is_demo`) are context."""
    info = data.get("info") or {}
    agent = _replayed(data.get("replay_config")).get("agent") or {}
    model = (agent.get("model") or {}).get("name")
    messages = list(_messages(data["history"]))
    return Transcript(
        "swe-agent",
        str(data.get("instance_id") or name),
        messages,
        str(model or "unknown"),
        patch=info.get("submission"),
        exit=info.get("exit_status"),
        problem=opened_with([message for message in messages if not message.sampled]),
    )


def _replayed(config: object) -> Object:
    """The configuration of the run, which SWE-agent 1 writes as JSON within JSON."""
    if isinstance(config, str):
        try:
            config = json.loads(config)
        except (ValueError, RecursionError):
            return {}
    return cast("Object", config) if isinstance(config, dict) else {}


def from_mini(data: Object, name: str) -> Transcript:
    info = data["info"]
    config = info.get("config") or {}
    messages = list(_messages(data["messages"]))
    return Transcript(
        "mini-swe-agent",
        str(data.get("instance_id") or name),
        messages,
        str((config.get("model") or {}).get("model_name") or "unknown"),
        patch=info.get("submission"),
        exit=info.get("exit_status"),
        problem=opened_with(messages),
    )


def _messages(history: list[Object]) -> Iterator[ImportedMessage]:
    for message in history:
        role = str(message.get("role"))
        if role not in _SENT:
            continue  # mini's `exit` was never sent to a model
        usage, cost = _usage(message)
        ids = message.get("tool_call_ids")
        yield ImportedMessage(
            role,
            text_of(message.get("content")),
            calls_of(message),
            answers=message.get("tool_call_id") or (ids[0] if ids else None),
            sampled=role == "assistant" and not message.get("is_demo"),
            reasoning=message.get("reasoning_content"),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            cost_usd=cost,
        )


def _usage(message: Object) -> tuple[Object, float | None]:
    """What mini keeps of the endpoint's answer."""
    extra = message.get("extra")
    if not isinstance(extra, dict):
        return {}, None
    response = extra.get("response")
    usage = response.get("usage") if isinstance(response, dict) else None
    cost = extra.get("cost")
    return usage if isinstance(usage, dict) else {}, cost if isinstance(cost, int | float) else None
