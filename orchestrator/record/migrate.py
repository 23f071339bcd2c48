"""migrate: records of older schema versions, step by step to the current one.

| from | what changes |
|---|---|
| swe-trajectory/0 | `schema` becomes `schema_version`; `instance` (an id and a text) becomes `task`; a linear list of messages gets ids and parents; `calls`, `nodes` and the rest start empty, so no message counts as sampled |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...tools.errors import RecordError
from .schema import SCHEMA
from .tool_arguments import parsed


def migrate(data: Any) -> Any:
    """`data` as the current version says it. Raises: RecordError for an unknown version."""
    if not isinstance(data, dict):
        raise RecordError("invariant schema: a record is a JSON object")
    seen = set[str]()
    while (version := str(data.get("schema_version") or data.get("schema") or SCHEMA)) != SCHEMA:
        step = _STEPS.get(version)
        if step is None or version in seen:
            known = ", ".join([*_STEPS, SCHEMA])
            raise RecordError(f"unknown schema version {version!r}; this program reads {known}")
        seen.add(version)
        data = step(data)
    return data


def _from_0(old: dict[str, Any]) -> dict[str, Any]:
    """Version 0 was one linear conversation without calls: {schema, run_id, instance {id, text, repository,
    base_commit}, model, messages [{role, content, tool_calls, tool_call_id}], patch, resolved}.
    What it did not measure stays null; `resolved` cannot be kept, because the evaluation behind it is absent."""
    instance = old.get("instance") or {}
    messages: list[dict[str, Any]] = []
    for number, message in enumerate(old.get("messages") or []):
        calls = [
            {**call, "arguments_parsed": parsed(call["function"]["arguments"])}
            for call in message.get("tool_calls") or []
        ]
        messages.append(
            {
                "id": f"m{number}",
                "parent": f"m{number - 1}" if number else None,
                "agent": "agent",
                "node": "n0",
                "role": message["role"],
                "content": message.get("content") or "",
                "tool_calls": calls,
                "tool_call_id": message.get("tool_call_id"),
            }
        )
    patch = old.get("patch")
    tips = {"agent": messages[-1]["id"]} if messages else {}
    losses = ["migrated from swe-trajectory/0: calls, usage and rewards were not recorded"]
    if old.get("resolved") is not None:
        losses.append(
            f"migrated from swe-trajectory/0: resolved={old['resolved']} has no evaluation behind it"
        )
    return {
        "schema_version": SCHEMA,
        "run_id": str(old.get("run_id") or instance.get("id") or "unknown"),
        "task": {
            "instance_id": str(instance.get("id") or "unknown"),
            "repository": instance.get("repository"),
            "base_commit": instance.get("base_commit"),
            "problem_statement": str(instance.get("text") or ""),
        },
        "agents": [
            {"name": "agent", "role": "single", "model": str(old.get("model") or "unknown"), "is_llm": True}
        ],
        "toolsets": [],
        "messages": messages,
        "calls": [],
        "nodes": [{"id": "n0", "kind": "root", "tips": tips, "patch": "p0" if patch else None}],
        "evaluations": [],
        "patches": [{"id": "p0", "node": "n0", "text": patch}] if patch else [],
        "selected": {"node": "n0", "patch": "p0"} if patch else None,
        "outcome": {},
        "provenance": {},
        "totals": {"calls": 0},
        "losses": losses,
    }


_STEPS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"swe-trajectory/0": _from_0}
