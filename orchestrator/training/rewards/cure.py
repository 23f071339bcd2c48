"""CURE rewards: coder and tester improve each other from executed outcomes alone (Wang et al. 2025, "CURE:
Co-Evolving LLM Coder and Unit Tester via Reinforcement Learning")."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence


def cure_rewards(
    passes: Mapping[str, Mapping[str, bool]], trusted: Sequence[str], generated: Sequence[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """(coder, tester) rewards, each z-scored in its group; a group without variance is empty, because it
    teaches nothing. `passes[patch][test]`.

    Coder: share of the trusted tests that the patch passes. A patch that passes all of them is right.
    Tester: for a test that every right patch passes, the share of wrong patches it catches; for a test that
    fails a right patch, minus the share of wrong patches it lets pass. Without a right patch, or without a
    wrong one, nothing can be said of a test.
    """
    if not trusted:
        return {}, {}
    rates = {
        patch: sum(row.get(test, False) for test in trusted) / len(trusted) for patch, row in passes.items()
    }
    right = [patch for patch, rate in rates.items() if rate == 1.0]
    wrong = [patch for patch, rate in rates.items() if rate < 1.0]
    tester: dict[str, float] = {}
    if right and wrong:
        for test in generated:
            let_pass = sum(passes[patch].get(test, False) for patch in wrong) / len(wrong)
            sound = all(passes[patch].get(test, False) for patch in right)
            tester[test] = 1.0 - let_pass if sound else -let_pass
    return z_scores(rates), z_scores(tester)


def z_scores(values: Mapping[str, float]) -> dict[str, float]:
    """Values minus their mean over their population standard deviation; empty for a group of equals."""
    if len(values) < 2:
        return {}
    mean, spread = statistics.fmean(values.values()), statistics.pstdev(values.values())
    if spread < 1e-9:
        return {}
    return {name: (value - mean) / spread for name, value in values.items()}
