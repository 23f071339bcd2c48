"""samples: rollouts as prime-rl's `TrainingSample` (ids, mask, logprobs, temperatures, advantages: one per token)."""

from __future__ import annotations

from collections.abc import Iterator

from .advantages import Advantages
from .options import ExportOptions, Tally
from .reinforcement import not_replayed
from .rows import Row
from .segments import Segment, segments
from .view import View

ENVIRONMENT = "swe-agent"


def samples(view: View, options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """A row per training sequence of a rollout. What prime-rl cannot do without is never made up: a rollout that lacks
    logprobs, a temperature or an advantage is left out."""
    advantages = Advantages(view)
    for leaf in view.leaves:
        if not leaf.writer:
            continue
        why = not_replayed(leaf, options)
        parts = segments(leaf.path) if why is None else None
        advantage = advantages.path(leaf)
        if why is None and parts is None:
            why = "no_token_ids"
        elif why is None and any(part.logprobs is None for part in parts or ()):
            why = "no_logprobs"
        elif why is None and advantage is None:
            why = "no_advantage"
        if why is not None:
            tally.drop(why)
            continue
        for part in parts or ():
            ids, heat = part.ids, _temperatures(view, part)
            if heat is None:
                tally.drop("no_temperature")
            elif options.max_tokens is not None and len(ids) > options.max_tokens:
                tally.drop("max_tokens")
            else:
                yield Row(
                    {
                        "token_ids": ids,
                        "mask": [bool(bit) for bit in part.mask],
                        "logprobs": part.logprobs,
                        "temperatures": heat,
                        "env_name": ENVIRONMENT,
                        "advantages": [round(advantage or 0.0, 6) if bit else 0.0 for bit in part.mask],
                    },
                    view.instance,
                )


def _temperatures(view: View, part: Segment) -> list[float] | None:
    """Of each token: that of the call whose prompt or answer it is. None where a call does not say."""
    found: list[float] = []
    waiting = 0
    for message, ids, _ in part.spans:
        waiting += len(ids)
        if message is None:
            continue
        heat = view.call(message.id).sampling.get("temperature")
        if not isinstance(heat, int | float):
            return None
        found += [float(heat)] * waiting
        waiting = 0
    return found
