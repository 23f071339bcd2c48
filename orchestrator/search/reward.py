"""The reward during the search: executed tests first, the Critic and a trained verifier last, never any gold data."""

from __future__ import annotations

from dataclasses import dataclass

from .config import Weights
from .node import Measurement


@dataclass(frozen=True, slots=True)
class RewardPart:
    """One component. `value` in [0, 1], None where it was not measured; measured weights sum to 1."""

    value: float | None
    weight: float

    def to_json(self) -> dict[str, float | None]:
        return {"value": self.value, "weight": self.weight}


def components(evaluation: Measurement | None, weights: Weights) -> dict[str, RewardPart]:
    """What the reward is made of: `sound` alone for a patch that does not apply or parse, else the tests
    and opinions (the Critic's, a trained verifier's). With a regression those count as 0: no opinion lifts such a patch."""
    if evaluation is None:
        return {}
    if not evaluation.sound:
        return {"sound": RewardPart(0.0, 1.0)}
    critic = None if evaluation.critic is None else min(1.0, max(0.0, evaluation.critic.mean))
    if evaluation.broken and critic is not None:
        critic = 0.0
    likelihood = evaluation.likelihood
    if likelihood is not None:
        likelihood = 0.0 if evaluation.broken else likelihood
    values = {
        "reproduction": evaluation.passed_fraction,
        "regression": None if evaluation.broken is None else float(not evaluation.broken),
        "critic": critic,
        **({} if evaluation.verifier is None else {"verifier": likelihood}),
    }
    scale = sum(getattr(weights, name) for name, value in values.items() if value is not None)
    return {
        name: RewardPart(value, getattr(weights, name) / scale if scale and value is not None else 0.0)
        for name, value in values.items()
    }


def reward(evaluation: Measurement | None, weights: Weights) -> float | None:
    """The weighted mean of what was measured, in [0, 1]; None when nothing was."""
    parts = [part for part in components(evaluation, weights).values() if part.value is not None]
    if not any(part.weight for part in parts):
        return None
    return min(1.0, sum(part.weight * part.value for part in parts if part.value is not None))
