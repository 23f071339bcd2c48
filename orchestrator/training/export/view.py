"""View: one record as exports see it: finished paths, their labels and rewards, values of inner messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ....agents.models.arguments import sendable
from ...record.graph import Graph, chains
from ...record.schema import Message, ModelCall, Node, Trajectory
from .label import Label, agreed, node_label
from .options import ExportOptions
from .rows import compact

WRITERS = frozenset({"coder", "debugger", "single"})
"""Roles whose work the reward of a node judges. A Critic that rejects a bad patch did well: the node's
reward says nothing about it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A sampled message with no sampled message below it: the end of one path."""

    tip: str
    path: tuple[Message, ...]
    node: Node | None
    ends: tuple[Node, ...]
    """Finished candidates that the path led to, in this node or below it."""
    role: str
    reward: float | None
    """Mean reward of the ends, for writers; null when none was measured or when infrastructure failed."""
    label: Label
    digest: str | None
    """Of the patch; equal digests are the same candidate. Null when the path led to several."""
    offline: bool
    """Some message of the path was sampled by a program, not a language model."""

    @property
    def writer(self) -> bool:
        return self.role in WRITERS

    @property
    def failed(self) -> bool:
        """Infrastructure failed: the path says nothing about the model."""
        nodes = self.ends or (() if self.node is None else (self.node,))
        return bool(nodes) and all(node.exit_status == "infrastructure" for node in nodes)

    @property
    def components(self) -> dict[str, float | None]:
        """Mean of each reward component over the ends that measured it."""
        found: dict[str, list[float]] = {}
        for node in self.ends:
            for name, part in node.reward.components.items() if node.reward is not None else ():
                found.setdefault(name, [])
                if part.value is not None:
                    found[name].append(part.value)
        return {name: sum(found[name]) / len(found[name]) if found[name] else None for name in sorted(found)}

    @property
    def first(self) -> int:
        """Index of the first sampled message."""
        return next(number for number, message in enumerate(self.path) if message.sampled)


class View:
    """Everything the exports ask of one record, computed once."""

    def __init__(self, record: Trajectory, size: int) -> None:
        """`size` is that of the record, in characters."""
        self.record = record
        self.size = size
        self.graph = Graph(record)
        self.agents = {agent.name: agent for agent in record.agents}
        self._toolsets = {toolset.name: toolset.tools for toolset in record.toolsets}
        self._texts: dict[str, str | None] = {}
        self._labels: dict[str, Label] = {}
        self._histories: dict[str, tuple[bool, int] | None] = {}

    @property
    def instance(self) -> str:
        return self.record.task.instance_id

    def call(self, message: str) -> ModelCall:
        return self.graph.calls[message]

    def offline(self, message: Message) -> bool:
        return message.sampled and not self.call(message.id).is_llm

    def role(self, message: Message) -> str:
        return self.agents[message.agent].role

    def label(self, node: str) -> Label:
        """Of one candidate; a duplicate has that of its original."""
        if node not in self._labels:
            original = self.graph.nodes[node].duplicate_of
            self._labels[node] = node_label(self.record, node if original is None else original)
        return self._labels[node]

    @cached_property
    def _ends(self) -> dict[str, list[Node]]:
        """Message id → finished candidates whose conversations hold it."""
        found: dict[str, list[Node]] = {}
        for node in self.record.nodes:
            if node.terminal:
                for message in {message.id for tip in node.tips.values() for message in self.graph.path(tip)}:
                    found.setdefault(message, []).append(node)
        return found

    def ends(self, message: Message) -> tuple[Node, ...]:
        """Finished candidates that a message led to. One that no candidate's conversation holds (it was
        compacted away) led to those below its own node."""
        if message.id in self._ends or message.node is None:
            return tuple(self._ends.get(message.id, ()))
        below = {message.node}
        for node in self.record.nodes:
            if node.parent in below:
                below.add(node.id)
        return tuple(node for node in self.record.nodes if node.terminal and node.id in below)

    @cached_property
    def leaves(self) -> list[Leaf]:
        """Best reward first, then in order of the record."""
        covered: set[str] = set()
        found: list[Leaf] = []
        for message in reversed(self.record.messages):
            if message.sampled and message.id not in covered:
                found.append(self._leaf(message))
                covered.update(above.id for above in found[-1].path)
        found.reverse()
        return sorted(found, key=lambda leaf: -(leaf.reward if leaf.reward is not None else -1e9))

    def _leaf(self, message: Message) -> Leaf:
        path = tuple(self.graph.path(message.id))
        ends = self.ends(message)
        role = self.role(message)
        rewards = (
            [reward for node in ends if (reward := measured(node)) is not None] if role in WRITERS else []
        )
        digests = {self._digest(node) for node in ends} if role in WRITERS else set()
        if message.node is None:
            outcome = self.record.outcome
            label = Label(outcome.resolved, outcome.verified, None)
        else:
            label = agreed([self.label(node.id) for node in ends if node.exit_status != "infrastructure"])
        return Leaf(
            tip=message.id,
            path=path,
            node=self.graph.nodes.get(message.node or ""),
            ends=ends,
            role=role,
            reward=sum(rewards) / len(rewards) if rewards else None,
            label=label,
            digest=digests.pop() if len(digests) == 1 else None,
            offline=any(self.offline(above) for above in path),
        )

    def _digest(self, node: Node) -> str | None:
        patch = next((item for item in self.record.patches if item.id == node.patch), None)
        if patch is not None:
            return patch.normalised_hash or patch.sha256
        return node.tree_hash

    @cached_property
    def writer_leaves(self) -> dict[str, list[Leaf]]:
        """Message id → writers' leaves at or below it."""
        found: dict[str, list[Leaf]] = {}
        for leaf in self.leaves:
            if leaf.writer:
                for message in leaf.path:
                    found.setdefault(message.id, []).append(leaf)
        return found

    @cached_property
    def branch_points(self) -> list[list[Message]]:
        """Groups of at least two messages of writers sampled from the same exact prompt and tools, be it in one
        conversation that was forked or in two that began alike."""
        chain = chains(self.record.messages)
        groups: dict[tuple[bytes, str], list[Message]] = {}
        for message in self.record.messages:
            if message.sampled and message.parent is not None and message.id in self.writer_leaves:
                key = (chain[message.parent], self.tools(message.agent))
                groups.setdefault(key, []).append(message)
        return [group for group in groups.values() if len(group) > 1]

    def by_program(self, node: str) -> bool:
        """Whether a program had a hand in a candidate."""
        return any(
            leaf.offline for leaf in self.leaves if leaf.writer and node in {end.id for end in leaf.ends}
        )

    @cached_property
    def mean_reward(self) -> float | None:
        """Mean measured reward of the writers' candidates: the value of the issue before anyone worked on it."""
        ends = {node.id: node for leaf in self.leaves if leaf.writer for node in leaf.ends}
        rewards = [reward for node in ends.values() if (reward := measured(node)) is not None]
        return sum(rewards) / len(rewards) if rewards else None

    def _ends_below(self, message: str) -> list[Node]:
        found = {node.id: node for leaf in self.writer_leaves.get(message, ()) for node in leaf.ends}
        return list(found.values())

    def value(self, message: str) -> float | None:
        """Mean measured reward of the candidates that a message led to; null when none was measured."""
        rewards = [reward for node in self._ends_below(message) if (reward := measured(node)) is not None]
        return sum(rewards) / len(rewards) if rewards else None

    def good_below(self, message: str, only: str) -> list[bool]:
        """The known labels of the candidates that a message led to."""
        ends = [node for node in self._ends_below(message) if node.exit_status != "infrastructure"]
        labels = [self.label(node.id).of(only) for node in ends]
        return [label for label in labels if label is not None]

    def tools(self, agent: str) -> str:
        """The toolset of an agent as a JSON string (`[]` without one)."""
        name = self.agents[agent].toolset
        return compact(self._toolsets.get(name or "", []))

    def text(self, message: Message) -> str | None:
        """The message as trainers take it, as JSON; None where that is impossible (`why_not`)."""
        if message.id not in self._texts:
            self._texts[message.id] = _dumped(shape(message))
        return self._texts[message.id]

    def context(self, message: Message) -> str | None:
        """The message as a later call of the model saw it: arguments that are no object as they were sent back,
        repaired. None when its content is not text."""
        text = self.text(message)
        if text is not None or not isinstance(message.content, str):
            return text
        return _dumped(shape(_as_sent(message)))

    def history(self, message: Message) -> int | None:
        """Characters of the conversation above a message, from the first that was sampled on. None when some
        message above it is not text."""
        if message.parent is None:
            return 0
        found = self._history(message.parent)
        return None if found is None else found[1]

    def _history(self, id: str) -> tuple[bool, int] | None:
        """Whether something was sampled on the path to a message, itself included, and its size since then."""
        unknown: list[Message] = []
        at: str | None = id
        while at is not None and at not in self._histories:
            unknown.append(self.graph.messages[at])
            at = unknown[-1].parent
        found: tuple[bool, int] | None = (False, 0) if at is None else self._histories[at]
        for message in reversed(unknown):
            text = self.context(message)
            if found is not None:
                begun = found[0] or message.sampled
                found = None if text is None else (begun, found[1] + len(text) + 1 if begun else 0)
            self._histories[message.id] = found
        return found

    def repeated(self, message: Message) -> int:
        """Characters of conversation in a row that ends with this message."""
        return (self.history(message) or 0) + len(self.context(message) or "")

    def too_long(self, tip: str, options: ExportOptions, extra: str = "") -> bool:
        return options.max_tokens is not None and self.token_count(tip, extra) > options.max_tokens

    def token_count(self, tip: str, extra: str = "") -> int:
        """Tokens of the path to `tip`: as the endpoint counted them, else a quarter of the characters plus
        the schemas (an estimate)."""
        call = self.graph.calls.get(tip)
        if (
            call is not None
            and call.usage.prompt_tokens is not None
            and call.usage.completion_tokens is not None
        ):
            return call.usage.prompt_tokens + call.usage.completion_tokens
        chars = sum(len(self.text(message) or "") for message in self.graph.path(tip)) + len(extra)
        return chars // 4 + 1


def repaired_calls(path: Iterable[Message]) -> int:
    """Calls of a prompt whose arguments are no object; the endpoint, and the row, got them repaired."""
    return sum(call.arguments_parsed is None for message in path for call in message.tool_calls or ())


def _as_sent(message: Message) -> Message:
    calls = [
        call
        if call.arguments_parsed is not None
        else call.model_copy(update={"arguments_parsed": json.loads(sendable(call.function.arguments))})
        for call in message.tool_calls or ()
    ]
    return message.model_copy(update={"tool_calls": calls})


def _dumped(shaped: dict[str, Any] | None) -> str | None:
    return None if shaped is None else compact(shaped)


def measured(node: Node) -> float | None:
    """The reward of a candidate; none where infrastructure failed."""
    return node.reward.total if node.reward is not None and node.exit_status != "infrastructure" else None


def shape(message: Message) -> dict[str, Any] | None:
    """`content` a str, `arguments` a dict, tool results `{role, name, tool_call_id, content}`. None when the
    sampled arguments are not an object or the content is not text."""
    if not isinstance(message.content, str):
        return None
    if message.role == "tool":
        return {
            "role": "tool",
            "name": message.name or "",
            "tool_call_id": message.tool_call_id or "",
            "content": message.content,
        }
    role = "system" if message.role == "developer" else message.role
    shaped: dict[str, Any] = {"role": role, "content": message.content}
    if message.tool_calls:
        if any(call.arguments_parsed is None for call in message.tool_calls):
            return None
        shaped["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.arguments_parsed},
            }
            for call in message.tool_calls
        ]
    return shaped
