"""Attention over grouped keys that copies none of them, for a CPU, which is bound by its memory: transformers repeats keys
and values for each head that shares them (three times in SmolLM2), in every layer for every token."""

from __future__ import annotations

from typing import Any

from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NAME = "grouped"


def grouped(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float, **_: Any
) -> tuple[Any, None]:
    """Query [rows, heads, asked, width], key and value [rows, groups, tokens, width], mask added to the scores
    [rows, 1, asked, tokens]; heads of a group are neighbours. Returns [rows, asked, heads, width]."""
    rows, heads, asked, width = query.shape
    groups, tokens = key.shape[1], key.shape[2]
    shared = heads // groups
    scores = query.reshape(rows, groups, shared * asked, width) @ key.transpose(-1, -2) * scaling
    if attention_mask is not None:
        scores = scores.view(rows, groups, shared, asked, tokens) + attention_mask[:, :, None]
    weights = scores.view(rows, groups, shared * asked, tokens).softmax(-1)
    return (weights @ value).reshape(rows, heads, asked, width).transpose(1, 2).contiguous(), None


def register() -> str:
    """The name by which a model may be opened with it."""
    AttentionInterface.register(NAME, grouped)
    AttentionMaskInterface.register(NAME, eager_mask)
    return NAME
