"""Advantages: how much better than usual, from the tree: states are exact prompts, values mean rewards below them."""

from __future__ import annotations

from ...record.graph import chains
from ...record.schema import Message
from .view import Leaf, View, measured


class Advantages:
    """Of the writers' messages of one run. None where no reward was measured."""

    def __init__(self, view: View) -> None:
        self._view = view
        chain = chains(view.record.messages)
        states: dict[tuple[bytes, str], list[str]] = {}
        for message in view.record.messages:
            if message.sampled and message.parent is not None and message.id in view.writer_leaves:
                key = (chain[message.parent], view.tools(message.agent))
                states.setdefault(key, []).append(message.id)
        self._values = {key: self._value(ids) for key, ids in states.items()}
        self._state = {id: key for key, ids in states.items() for id in ids}

    def _value(self, ids: list[str]) -> float | None:
        """Mean reward of the distinct candidates that were reached from a state."""
        view = self._view
        ends = {end.id: end for id in ids for leaf in view.writer_leaves[id] for end in leaf.ends}
        rewards = [reward for end in ends.values() if (reward := measured(end)) is not None]
        return sum(rewards) / len(rewards) if rewards else None

    def step(self, message: Message) -> float | None:
        """Of a sampled message: the mean reward of what it led to, minus that of all that was reached from its prompt,
        over every branch and every rollout that began alike; 0 where nothing branched."""
        value, state = self._view.value(message.id), self._values.get(self._state.get(message.id, (b"", "")))
        return None if value is None or state is None else value - state

    def path(self, leaf: Leaf) -> float | None:
        """Of a rollout in its group: its reward minus the mean of those that began with the same prompt."""
        first = leaf.path[leaf.first]
        state = self._values.get(self._state.get(first.id, (b"", "")))
        return None if leaf.reward is None or state is None else leaf.reward - state
