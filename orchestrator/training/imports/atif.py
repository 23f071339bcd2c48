"""ATIF (Agent Trajectory Interchange Format) 1.0 to 1.8, as Harbor and others write it, and as we do.

A step of the agent is a message and the results of its calls. What `is_copied_context` marks was sampled elsewhere:
it is context here. Subagents' trajectories are other conversations and are not taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from .transcript import ImportedMessage, Object, Transcript, opened_with, text_of


def is_atif(data: Object) -> bool:
    return str(data.get("schema_version", "")).startswith("ATIF-") and isinstance(data.get("steps"), list)


def from_atif(data: Object, name: str) -> Transcript:
    agent, extra = data.get("agent") or {}, data.get("extra") or {}
    messages = [said for step in data["steps"] for said in _step(step)]
    models = [step["model_name"] for step in data["steps"] if step.get("model_name")]
    resolved = extra.get("resolved")
    return Transcript(
        "atif",
        str(extra.get("instance_id") or name),
        messages,
        str(agent.get("model_name") or (models[0] if models else "unknown")),
        agent.get("tool_definitions") or [],
        resolved=resolved if isinstance(resolved, bool) else None,
        problem=opened_with(messages),
        unnamed=not extra.get("instance_id"),
    )


def _step(step: Object) -> Iterator[ImportedMessage]:
    results = (step.get("observation") or {}).get("results") or ()
    if step.get("source") != "agent":
        yield ImportedMessage(str(step.get("source", "user")), text_of(step.get("message")))
        return
    metrics = step.get("metrics") or {}
    calls = tuple(
        (
            str(call.get("tool_call_id", "")),
            str(call.get("function_name", "")),
            (call.get("extra") or {}).get("raw_arguments")
            or json.dumps(call.get("arguments") or {}, ensure_ascii=False),
        )
        for call in step.get("tool_calls") or ()
    )
    ids, prompt = metrics.get("completion_token_ids"), metrics.get("prompt_token_ids")
    logprobs = metrics.get("logprobs")
    yield ImportedMessage(
        "assistant",
        text_of(step.get("message")),
        calls,
        sampled=not step.get("is_copied_context") and step.get("llm_call_count") != 0,
        reasoning=step.get("reasoning_content"),
        prompt_tokens=metrics.get("prompt_tokens"),
        completion_tokens=metrics.get("completion_tokens"),
        cost_usd=metrics.get("cost_usd"),
        token_ids=tuple(ids) if ids else None,
        prompt_ids=tuple(prompt) if prompt else None,
        logprobs=tuple(logprobs) if logprobs and ids and len(logprobs) == len(ids) else None,
    )
    for result in results:
        answers = result.get("source_call_id")
        yield ImportedMessage("tool" if answers else "user", text_of(result.get("content")), answers=answers)
