"""atif: the Agent Trajectory Interchange Format, one trajectory per root-leaf path of a writer.

Built and validated with the PyPI package `atif` (format version 1.8). The turns of the other roles in the
same node (Tester, Critic) are embedded as subagent trajectories and referred to from a system step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from ....tools.errors import ExportError
from ...record.schema import Message
from .options import ExportOptions, Tally
from .rows import Row
from .view import Leaf, View

VERSION = "ATIF-v1.8"


def atif(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """One document per line; every document was accepted by the `atif` package."""
    told: set[str] = set()
    writers = [leaf for leaf in view.leaves if leaf.writer]
    mains = writers or view.leaves
    for number, leaf in enumerate(mains):
        if leaf.offline and not options.include_offline:
            tally.drop("offline")
            continue
        mine = {node.id for node in leaf.ends}
        others = [
            other
            for other in view.leaves
            if writers and not other.writer and mine & {node.id for node in other.ends}
            and (options.include_offline or not other.offline)
        ]  # fmt: skip
        document = _document(view, leaf, f"{view.record.run_id}/{number}", others, told)
        trajectory = _package().model_validate(document)
        yield Row(trajectory.to_json_dict(), view.instance)


@cache
def _package() -> Any:
    try:
        from atif.trajectory import Trajectory
    except ImportError as error:
        raise ExportError("--format atif needs the package atif: pip install 'atif'") from error
    return Trajectory


def _document(view: View, leaf: Leaf, id: str, others: Sequence[Leaf], told: set[str]) -> dict[str, Any]:
    """`told` holds the messages that earlier documents of the record tell; it grows."""
    record = view.record
    agent = view.agents[leaf.path[-1].agent]
    tools = next((kit.tools for kit in record.toolsets if kit.name == agent.toolset), None)
    steps = _steps(view, leaf, told)
    subagents = [
        _document(view, other, f"{id}/{other.role}-{number}", (), told) for number, other in enumerate(others)
    ]
    if subagents:
        refs = [{"subagent_trajectory_ref": [{"trajectory_id": sub["trajectory_id"]}]} for sub in subagents]
        steps.append(
            {
                "step_id": len(steps) + 1,
                "source": "system",
                "message": "Other roles worked on the same candidate.",
                "observation": {"results": refs},
            }
        )
    return {
        "schema_version": VERSION,
        "session_id": record.run_id,
        "trajectory_id": id,
        "agent": {
            "name": "swe-agent",
            "version": record.provenance.versions.get("swe_agent")
            or record.provenance.versions.get("swe-agent", "unknown"),
            "model_name": agent.model,
            "tool_definitions": tools,
            "extra": {"role": agent.role, "is_llm": agent.is_llm},
        },
        "steps": steps,
        "final_metrics": _final(view, leaf, len(steps)),
        "subagent_trajectories": subagents or None,
        "extra": {
            "instance_id": view.instance,
            "node": leaf.node.id if leaf.node is not None else None,
            "reward": leaf.reward,
            "resolved": leaf.label.resolved,
            "verified": leaf.label.verified,
        },
    }


def _steps(view: View, leaf: Leaf, told: set[str]) -> list[dict[str, Any]]:
    """What several paths share is told whole by each and marked as copied in all but the first, so that whoever
    trains on the documents trains it once."""
    steps: list[dict[str, Any]] = []
    path = [*leaf.path, *_answers_below(view, leaf)]
    for message in path:
        if message.role == "tool" and steps and steps[-1]["source"] == "agent":
            result = {"source_call_id": message.tool_call_id, "content": _text(message)}
            steps[-1].setdefault("observation", {"results": []})["results"].append(result)
            continue
        step: dict[str, Any] = {
            "step_id": len(steps) + 1,
            "source": {"assistant": "agent", "system": "system", "developer": "system"}.get(
                message.role, "user"
            ),
            "message": _text(message),
        }
        if message.at is not None:
            step["timestamp"] = datetime.fromtimestamp(message.at, UTC).isoformat()
        if message.role == "assistant":
            step |= _agent_step(view, message)
        if message.id in told:
            step["is_copied_context"] = True
        steps.append(step)
    told.update(message.id for message in path)
    return steps


def _answers_below(view: View, leaf: Leaf) -> list[Message]:
    """The results of the last calls; they are below the tip, because nothing was sampled after them."""
    found: list[Message] = []
    at = leaf.tip
    while True:
        below = [view.graph.messages[child] for child in view.graph.children.get(at, ())]
        answer = next((message for message in below if message.role == "tool"), None)
        if answer is None:
            return found
        found.append(answer)
        at = answer.id


def _agent_step(view: View, message: Message) -> dict[str, Any]:
    calls = [
        {
            "tool_call_id": call.id,
            "function_name": call.function.name,
            "arguments": call.arguments_parsed if call.arguments_parsed is not None else {},
            "extra": None
            if call.arguments_parsed is not None
            else {"raw_arguments": call.function.arguments},
        }
        for call in message.tool_calls
    ]
    if not message.sampled:
        return {"tool_calls": calls or None, "is_copied_context": True}
    call = view.call(message.id)
    if not call.is_llm:
        return {"tool_calls": calls or None, "llm_call_count": 0, "model_name": call.model}
    tokens = message.tokens
    own = (
        [one for one, bit in zip(tokens.token_ids, tokens.mask, strict=True) if bit]
        if tokens is not None
        else None
    )
    return {
        "tool_calls": calls or None,
        "model_name": call.served_model or call.model,
        "reasoning_content": message.reasoning,
        "llm_call_count": 1,
        "metrics": {
            "prompt_tokens": call.usage.prompt_tokens,
            "completion_tokens": call.usage.completion_tokens,
            "cached_tokens": call.usage.cached_tokens,
            "cost_usd": call.usage.cost_usd,
            "completion_token_ids": own,
            "logprobs": tokens.logprobs if tokens is not None else None,
        },
    }


def _final(view: View, leaf: Leaf, steps: int) -> dict[str, Any]:
    usages = [view.call(message.id).usage for message in leaf.path if message.sampled]

    def total(name: str) -> Any:
        values = [getattr(usage, name) for usage in usages]
        return sum(values) if values and None not in values else None

    return {
        "total_prompt_tokens": total("prompt_tokens"),
        "total_completion_tokens": total("completion_tokens"),
        "total_cached_tokens": total("cached_tokens"),
        "total_cost_usd": total("cost_usd"),
        "total_steps": steps,
    }


def _text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(str(part.get("text", "[not text]")) for part in message.content)
