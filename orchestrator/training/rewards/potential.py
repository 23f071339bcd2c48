"""Step rewards from execution feedback (RLCEF), potential-based (Ng, Harada, Russell 1999): the optimal policy
is unchanged, because without discount their sum telescopes to the end's reward minus the start's."""

from __future__ import annotations

from collections.abc import Sequence


def step_rewards(potentials: Sequence[float | None]) -> list[float | None]:
    """The reward of each step from the potential (reward so far) before the first and after each step.
    `len(potentials) - 1` values; a step after which nothing was measured gets None, and the next measured
    step gets the whole change, so the measured ones always sum to last minus first measured potential."""
    rewards: list[float | None] = []
    last = potentials[0] if potentials else None
    for potential in potentials[1:]:
        if potential is None or last is None:
            rewards.append(None)
            last = potential if last is None else last
        else:
            rewards.append(potential - last)
            last = potential
    return rewards
