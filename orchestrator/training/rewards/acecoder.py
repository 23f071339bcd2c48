"""AceCoder preference pairs from programs and generated tests (Zeng et al. 2025, "AceCoder", section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MIN_TESTS = 5
MIN_BEST = 0.8
MIN_GAP = 0.4


class Pair(NamedTuple):
    """`chosen` passes more of the kept tests than `rejected`."""

    chosen: str
    rejected: str
    chosen_rate: float
    rejected_rate: float


def kept_tests(passes: Mapping[str, Mapping[str, bool]], accepted: Sequence[str]) -> list[str]:
    """Tests that at least one accepted solution passes: the others are taken to be wrong.
    `passes[solution][test]`."""
    tests = sorted({test for row in passes.values() for test in row})
    return [test for test in tests if any(passes[one].get(test, False) for one in accepted)]


def acecoder_pairs(passes: Mapping[str, Mapping[str, bool]], accepted: Sequence[str]) -> list[Pair]:
    """Every pair with a best rate of at least 0.8, a gap of at least 0.4 and a worst rate above 0, over at
    least 5 kept tests. Rates divide by the kept tests, never by all. Best gap first."""
    kept = kept_tests(passes, accepted)
    if len(kept) < MIN_TESTS:
        return []
    rates = {one: sum(row.get(test, False) for test in kept) / len(kept) for one, row in passes.items()}
    pairs = [
        Pair(good, bad, rates[good], rates[bad])
        for good in sorted(rates)
        for bad in sorted(rates)
        if rates[good] >= MIN_BEST and rates[good] - rates[bad] >= MIN_GAP - 1e-12 and rates[bad] > 0
    ]
    return sorted(pairs, key=lambda pair: (pair.rejected_rate - pair.chosen_rate, pair.chosen, pair.rejected))
