"""Keys and values of conversations: Memory of the recent ones, so that a turn computes only what it adds to the one
before, and layers that grow without being copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens."""
Layers = Sequence[tuple[Any, Any]]
"""Keys and values of each layer, [rows, heads, tokens, width]; rotary positions are in the keys already."""


@dataclass(frozen=True, slots=True)
class Past:
    """Of one conversation: its tokens, and what was computed of them (one row)."""

    ids: Sequence[int]
    layers: Layers

    def common(self, prompt: Sequence[int]) -> int:
        """How many tokens both begin with; at least one of the prompt is left to compute."""
        length = min(len(self.ids), len(prompt) - 1)
        return next((place for place in range(length) if prompt[place] != self.ids[place]), length)


class Memory:
    """The newest conversations. The beginning that all share lives on in each of them."""

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._kept: list[Past] = []

    def recall(self, prompt: Sequence[int]) -> tuple[int, Layers]:
        """The longest beginning of the prompt that is known: its length, and views of its layers (none: 0, ())."""
        best, length = max(
            ((past, past.common(prompt)) for past in self._kept), key=_length, default=(None, 0)
        )
        if best is None or not length:
            return 0, ()
        return length, [(keys[:, :, :length], values[:, :, :length]) for keys, values in best.layers]

    def keep(self, past: Past) -> None:
        """Instead of what it goes on from, and of the oldest where there are too many."""
        self._kept = [one for one in self._kept if one.common([*past.ids, -1]) < len(one.ids)]
        self._kept = [*self._kept, past][-self._most :]


def _length(pair: tuple[Past, int]) -> int:
    return pair[1]


class Growing(DynamicLayer):
    """Of one layer of a batch, with room on the right: another token is written there, and nothing else is copied."""

    def __init__(self, keys: Any, values: Any) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._rooms: list[Any] = [None, None]

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        for place, (old, new) in enumerate(((self.keys, key_states), (self.values, value_states))):
            room = self._rooms[place]
            if room is None or room.shape[-2] < after:
                room = self._rooms[place] = new.new_empty((*new.shape[:-2], after + ROOM, new.shape[-1]))
                room[:, :, :before] = old
            room[:, :, before:after] = new
        self.keys, self.values = (room[:, :, :after] for room in self._rooms)
        return self.keys, self.values


def cache_of(layers: Layers) -> DynamicCache:
    """`()`: of a model that has read nothing yet."""
    cache = DynamicCache()
    cache.layers.extend(Growing(keys, values) for keys, values in layers)
    return cache


def layers_of(cache: Any) -> Layers:
    return [(layer.keys, layer.values) for layer in cache.layers]


def padded(tensor: Any, tokens: int) -> Any:
    """With room for so many tokens on the left, where the mask hides it."""
    missing = tokens - tensor.shape[-2]
    return torch.nn.functional.pad(tensor, (0, 0, missing, 0)) if missing else tensor
