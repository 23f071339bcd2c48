"""shaped: the reward of a candidate from what was measured about it."""

from __future__ import annotations

from dataclasses import dataclass

from ...record.build import reward_total
from ...record.schema import Component, Reward
from .spec import RewardSpec


@dataclass(frozen=True, slots=True)
class Measurements:
    """What was measured of one candidate; None was not measured, which is not 0."""

    pass_rate: float | None = None
    """Share of FAIL_TO_PASS tests that pass, in [0, 1]."""
    coverage_change: float | None = None
    """Line coverage after minus before, in [-1, 1]."""
    lint_findings: int | None = None
    """New findings on changed lines."""
    wall_s: float | None = None
    regressions: int | None = None
    """PASS_TO_PASS tests that no longer pass."""
    protected_edits: int | None = None
    """Protected tests that the patch edits."""
    leaks: int | None = None
    """Tool calls that looked for the future of the repository (see `tools.audit`)."""


def shaped_reward(measured: Measurements, spec: RewardSpec | None = None) -> Reward:
    """Every component with its weight; the total is the sum of weight times value of the measured ones.

    A gate is a component of weight 1: 0 when it holds, minus the positive part of the rest when it is
    broken, so that the total is capped at 0 and is still a sum. Without a pass rate the total is None."""
    spec = spec or RewardSpec()
    weights = spec.weights
    penalty = {
        "lint": None
        if measured.lint_findings is None
        else min(1.0, measured.lint_findings / spec.lint_scale),
        "time": None if measured.wall_s is None else min(1.0, measured.wall_s / spec.wall_limit_s),
    }
    components = {
        "tests": Component(value=measured.pass_rate, weight=weights.tests),
        "coverage": Component(value=measured.coverage_change, weight=weights.coverage),
        "lint": Component(value=penalty["lint"], weight=-weights.lint),
        "time": Component(value=penalty["time"], weight=-weights.time),
    }
    gates = {
        "regression": measured.regressions,
        "protected": measured.protected_edits,
        "leak": measured.leaks,
    }
    for name in spec.gates:
        broken = gates[name]
        value = None if broken is None else 0.0
        if broken:
            value = min(0.0, -(reward_total(components) or 0.0))
        components[f"gate:{name}"] = Component(value=value, weight=1.0)
    total = reward_total(components) if measured.pass_rate is not None else None
    return Reward(total=total, components=components, spec=spec.name)
