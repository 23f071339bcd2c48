"""episodes: rollouts as verifiers reads them, an episode of one trace each (`traces.jsonl`, trace version 1).

Fields by verifiers 0.4 (`verifiers.v1.utils.trace_store.read_episodes`). A trace is a graph of messages with the ids
that each adds; a path from a root to a leaf is one training sequence, so that a context that was rewritten
(compaction, templates that drop reasoning) begins at a root of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...record.schema import Message, ModelCall, Usage
from .advantages import Advantages
from .options import ExportOptions, Tally
from .reinforcement import group_of, not_replayed, task_fields
from .rows import Row
from .segments import Segment, segments
from .view import Leaf, View

VERSION = "0.4.0"
"""Of the verifiers whose fields these are."""
Fields: TypeAlias = dict[str, Any]
_FINISHED = frozenset({"stop", "length", "tool_calls"})


def episodes(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """A row per rollout of a writer with a measured reward, as `rollouts`; where the endpoint gave no token ids, the
    messages stand without them."""
    advantages = Advantages(view)
    for number, leaf in enumerate(view.leaves):
        if not leaf.writer:
            continue
        why = not_replayed(leaf, options)
        if why is None and not all(isinstance(message.content, str) for message in leaf.path):
            why = "not_text"
        if why is None and options.max_tokens is not None and view.token_count(leaf.tip) > options.max_tokens:
            why = "max_tokens"
        if why is not None:
            tally.drop(why)
            continue
        yield Row(_episode(view, leaf, number, advantages.path(leaf)), view.instance)


def _episode(view: View, leaf: Leaf, number: int, advantage: float | None) -> Fields:
    graph = _Graph(view, advantage)
    parts = segments(leaf.path)
    if parts is None:
        graph.add(leaf.path, None)
    for segment in parts or ():
        graph.add(leaf.path, segment)
    data = {
        "id": view.instance,
        "prompt": view.record.task.problem_statement,
        **task_fields(view.record.task),
    }
    data["image"] = data.pop("docker_image") or None
    task = {"type": "Issue", "data": data, "key": view.instance}
    name = hashlib.sha256(f"{view.record.run_id}/{number}".encode()).hexdigest()[:32]
    agent = view.agents[leaf.path[-1].agent]
    trace = {
        "version": 1,
        "id": name,
        "verifiers": {"version": VERSION},
        "task": task,
        "agent": {"config": {"model": agent.model, "harness": {"id": "swe-agent"}}, "name": agent.role},
        "tools": graph.tools,
        "nodes": graph.nodes,
        "calls": graph.calls,
        "rewards": {"reward": {"score": leaf.reward}},
        "metrics": leaf.components,
        "info": {"run": view.record.run_id, "node": leaf.node.id if leaf.node is not None else None,
                 "resolved": leaf.label.resolved, "verified": leaf.label.verified},
        "is_completed": True,
        "ok": True,
        "stop_condition": leaf.node.exit_status if leaf.node is not None else None,
        "timing": {"start": leaf.path[0].at or 0.0},
    }  # fmt: skip
    above = leaf.path[: leaf.first]
    return {
        "id": name,
        "env": {"id": "swe-agent"},
        "task": task,
        "group": {"id": group_of(view, above)},
        "ok": True,
        "traces": [trace],
    }


@dataclass(slots=True)
class _Graph:
    view: View
    advantage: float | None
    nodes: list[Fields] = field(default_factory=list)
    calls: list[Fields] = field(default_factory=list)
    tools: list[Fields] = field(default_factory=list)

    def add(self, path: Sequence[Message], segment: Segment | None) -> None:
        """One chain from a root: what stands above the segment as context, then its messages with their ids."""
        spans = (
            {message.id: (ids, mask) for message, ids, mask in segment.spans if message} if segment else {}
        )
        last = max((n for n, message in enumerate(path) if message.id in spans), default=len(path) - 1)
        context = segment.spans[0][1] if segment is not None and segment.spans[0][0] is None else []
        begun = segment is None
        parent: int | None = None
        for message in path[: last + 1]:
            begun = begun or message.id in spans
            node = _node(message, parent, sampled=message.sampled and begun)
            if message.id in spans:
                ids, mask = spans[message.id]
                self._tokens(node, message, [*context, *ids], [0] * len(context) + mask)
                context = []
            if parent is None:
                self.tools = _tools(json.loads(self.view.tools(path[-1].agent)))
                node["tools"] = self.tools
            parent = len(self.nodes)
            self.nodes.append(node)
            if node["sampled"]:
                self.calls.append(_call(self.view.call(message.id), parent, message.at))

    def _tokens(self, node: Fields, message: Message, ids: list[int], mask: list[int]) -> None:
        sampled = sum(mask)
        node |= {"token_ids": ids, "mask": [bool(bit) for bit in mask]}
        if message.tokens is not None and message.tokens.logprobs is not None:
            node["logprobs"] = message.tokens.logprobs
        if self.advantage is not None:
            node["advantages"] = [round(self.advantage, 6)] * sampled


def _node(message: Message, parent: int | None, *, sampled: bool) -> Fields:
    role = "system" if message.role == "developer" else message.role
    said: Fields = {"role": role, "content": message.content}
    if role == "tool":
        said |= {"tool_call_id": message.tool_call_id or "", "name": message.name}
    if role == "assistant":
        said["reasoning_content"] = message.reasoning
        said["tool_calls"] = [
            {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
            for call in message.tool_calls
        ] or None
    return {"parent": parent, "message": said, "sampled": sampled, "timestamp": message.at or 0.0}


def _tools(schemas: Sequence[Fields]) -> list[Fields]:
    return [dict(schema["function"]) for schema in schemas]


def _call(call: ModelCall, node: int, at: float | None) -> Fields:
    took = call.latency_s
    return {
        "node": node,
        "model": call.model,
        "sampling": {key: value for key in ("temperature", "top_p") if (value := call.sampling.get(key)) is not None},
        "finish_reason": call.finish_reason if call.finish_reason in _FINISHED else None,
        "usage": _usage(call.usage),
        **({"time": {"start": at - took, "end": at}} if at is not None and took is not None else {}),
    }  # fmt: skip


def _usage(usage: Usage) -> Fields | None:
    """verifiers counts what came from a cache beside `prompt_tokens`, not in it. Null where either count is."""
    if usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return {
        "prompt_tokens": usage.prompt_tokens - (usage.cached_tokens or 0),
        "completion_tokens": usage.completion_tokens,
        "cached_input_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost": usage.cost_usd,
    }
