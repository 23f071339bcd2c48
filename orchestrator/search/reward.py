"""The reward during the search: executed tests first, the Critic last, never any gold data."""

from __future__ import annotations

from .config import Weights
from .node import Evaluation


def components(evaluation: Evaluation | None) -> dict[str, float | None]:
    """Each part in [0, 1]; None where it was not measured."""
    if evaluation is None:
        return {"reproduction": None, "regression": None, "critic": None}
    return {
        "reproduction": evaluation.passed_fraction,
        "regression": None if evaluation.broken is None else float(not evaluation.broken),
        "critic": None if evaluation.critic is None else min(1.0, max(0.0, evaluation.critic.mean)),
    }


def reward(evaluation: Evaluation | None, weights: Weights) -> float | None:
    """0 for a patch that does not apply or parse, else the weighted mean of what was measured, in [0, 1].

    With a regression the Critic's part counts as 0: no opinion lifts a patch that breaks a test.
    None when nothing was measured.
    """
    if evaluation is None:
        return None
    if not evaluation.sound:
        return 0.0
    parts = components(evaluation)
    if evaluation.broken and parts["critic"] is not None:
        parts["critic"] = 0.0
    measured = [(value, getattr(weights, name)) for name, value in parts.items() if value is not None]
    scale = sum(weight for _, weight in measured)
    return sum(value * weight for value, weight in measured) / scale if scale else None
