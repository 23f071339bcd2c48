"""Dual agreement of patches and tests, after CodeT (Chen et al. 2022): both may be wrong, so patches that
pass the same tests support each other, and tests that the consensus passes weigh more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Matrix = Mapping[str, Mapping[str, bool]]
"""Patch → test → passed."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Patches that pass the same tests."""

    patches: tuple[str, ...]
    passed: frozenset[str]
    score: float


def telling_tests(matrix: Matrix) -> list[str]:
    """Tests that were run on every patch and that some pass and some fail."""
    rows = list(matrix.values())
    shared = set(rows[0]).intersection(*rows[1:]) if rows else set[str]()
    return sorted(test for test in shared if len({row[test] for row in rows}) == 2)


def agree(
    matrix: Matrix, priors: Mapping[str, float], votes: Mapping[str, int] | None = None
) -> list[Agreement]:
    """Groups by falling score `√|patches| × Σ weight of the tests they pass`; ties keep the given order.

    `priors`: weight of a test before agreement (absent: 1); `votes`: how often a patch was sampled
    (absent: 1), which is what |patches| counts.
    A test's weight is its prior × m × (1 + d): m, the share of the score under equal weights held by
    patches that pass it; d, the share of patches outside the leading group that fail it.
    """
    tests = telling_tests(matrix)
    groups: dict[frozenset[str], list[str]] = {}
    for patch, row in matrix.items():
        groups.setdefault(frozenset(test for test in tests if row[test]), []).append(patch)

    def size(patches: Sequence[str]) -> float:
        return math.sqrt(sum((votes or {}).get(patch, 1) for patch in patches))

    def worth(passed: frozenset[str]) -> float:
        return sum(priors.get(test, 1.0) for test in sorted(passed))

    flat = {passed: size(patches) * worth(passed) for passed, patches in groups.items()}
    mass = sum(flat.values())
    leader = max(flat, key=lambda passed: flat[passed], default=frozenset[str]())
    others = [row for patch, row in matrix.items() if patch not in groups.get(leader, [])]

    def weight(test: str) -> float:
        held = sum(value for passed, value in flat.items() if test in passed) / mass if mass else 0.0
        failing = sum(not row[test] for row in others) / len(others) if others else 0.0
        return priors.get(test, 1.0) * held * (1 + failing)

    weights = {test: weight(test) for test in tests}
    scored = [
        Agreement(tuple(patches), passed, size(patches) * sum(weights[test] for test in sorted(passed)))
        for passed, patches in groups.items()
    ]
    return sorted(scored, key=lambda group: -group.score)
