"""segments: the token sequences of a path, from the deltas of its sampled messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...record.schema import Message


@dataclass(slots=True)
class Segment:
    """A stretch of a path in which every prompt is the ids so far: one training sequence."""

    spans: list[tuple[Message | None, list[int], list[int]]] = field(default_factory=list)
    """(sampled message or None for a context, ids, mask)."""
    above: tuple[Message, ...] = ()
    """Messages before the first sampled one of the segment."""
    logprobs: list[float] | None = field(default_factory=list)
    """One per token of the spans, 0.0 where the mask is 0; None when some message has none."""

    @property
    def ids(self) -> list[int]:
        return [one for _, ids, _ in self.spans for one in ids]

    @property
    def mask(self) -> list[int]:
        return [one for _, _, mask in self.spans for one in mask]


def segments(path: Sequence[Message]) -> list[Segment] | None:
    """Null when some sampled message of the path has no token ids: nothing is made up."""
    found: list[Segment] = []
    for number, message in enumerate(path):
        if not message.sampled:
            continue
        tokens = message.tokens
        if tokens is None or 1 not in tokens.mask:
            return None
        if not found or tokens.context_ids is not None:
            found.append(Segment(above=tuple(path[:number])))
            if tokens.context_ids is not None:
                found[-1].spans.append((None, tokens.context_ids, [0] * len(tokens.context_ids)))
                if found[-1].logprobs is not None:
                    found[-1].logprobs += [0.0] * len(tokens.context_ids)
        part = found[-1]
        part.spans.append((message, tokens.token_ids, tokens.mask))
        if tokens.logprobs is None:
            part.logprobs = None
        elif part.logprobs is not None:
            values = iter(tokens.logprobs)
            part.logprobs += [next(values) if bit else 0.0 for bit in tokens.mask]
    return found
