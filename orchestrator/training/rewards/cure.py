"""CURE: rewards of a tester from executed outcomes alone; the coder's is its pass rate (Wang et al. 2025, "CURE:
Co-Evolving LLM Coder and Unit Tester via Reinforcement Learning")."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence


def rewards_of_tests(
    passes: Mapping[str, Mapping[str, bool]], trusted: Sequence[str], generated: Sequence[str]
) -> dict[str, float]:
    """Reward of each generated test, in [-1, 1]. `passes[patch][test]`; a patch that passes all trusted tests is right.

    For a test that every right patch passes, the share of wrong patches it catches; for a test that fails a right
    patch, minus the share of wrong patches it lets pass. Without a trusted test, a right patch or a wrong one nothing
    can be said of a test: then it is empty.
    """
    right = [patch for patch, row in passes.items() if all(row.get(test, False) for test in trusted)]
    wrong = [patch for patch in passes if patch not in right]
    found: dict[str, float] = {}
    if trusted and right and wrong:
        for test in generated:
            let_pass = sum(passes[patch].get(test, False) for patch in wrong) / len(wrong)
            sound = all(passes[patch].get(test, False) for patch in right)
            found[test] = 1.0 - let_pass if sound else -let_pass
    return found


def z_scores(values: Mapping[str, float]) -> dict[str, float]:
    """Values minus their mean over their population standard deviation; empty for a group of equals."""
    if len(values) < 2:
        return {}
    mean, spread = statistics.fmean(values.values()), statistics.pstdev(values.values())
    if spread < 1e-9:
        return {}
    return {name: (value - mean) / spread for name, value in values.items()}
