"""Statistics of evaluations: rates, pass@k and paired comparisons, each with its uncertainty.

Intervals are at 95 %. Bootstraps resample instances, are seeded, and need no package.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95
_Z = 1.959963984540054
_RESAMPLES = 4000

Interval = tuple[float, float]


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased estimate of the chance that one of `k` samples is right when `c` of `n` were:
    1 - C(n-c, k) / C(n, k) (Chen et al. 2021, "Evaluating Large Language Models Trained on Code").
    Raises: ValueError unless 0 <= c <= n and 1 <= k <= n."""
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} of {c} right among {n} is undefined")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


@dataclass(frozen=True, slots=True)
class PassAtK:
    """Mean of the unbiased estimator over the instances that have at least `k` verdicts."""

    k: int
    estimate: float | None
    """None: no instance has enough samples."""
    interval: Interval | None
    """Bootstrap over instances; None for fewer than two."""
    instances: int

    def to_json(self) -> dict[str, object]:
        return {
            "k": self.k,
            "estimate": self.estimate,
            "interval": list(self.interval) if self.interval else None,
            "level": LEVEL,
            "instances": self.instances,
        }


def pass_at_k_of(samples: Sequence[Sequence[bool]], k: int, *, seed: int = 0) -> PassAtK:
    """pass@k of instances, each with the verdicts of its samples."""
    values = [pass_at_k(len(flags), sum(flags), k) for flags in samples if len(flags) >= k]
    if not values:
        return PassAtK(k, None, None, 0)
    return PassAtK(k, math.fsum(values) / len(values), bootstrap_mean(values, seed=seed), len(values))


def bootstrap_mean(values: Sequence[float], *, resamples: int = _RESAMPLES, seed: int = 0) -> Interval | None:
    """Percentile interval of the mean (Efron and Tibshirani 1993); None for fewer than two values."""
    if len(values) < 2:
        return None
    draw = random.Random(seed)
    means = sorted(math.fsum(draw.choices(values, k=len(values))) / len(values) for _ in range(resamples))
    tail = (1 - LEVEL) / 2
    return means[int(tail * (resamples - 1))], means[math.ceil((1 - tail) * (resamples - 1))]


def wilson(successes: int, n: int) -> Interval | None:
    """Interval of a rate (Wilson 1927): sound for few instances and for rates at 0 and 1. None for n = 0."""
    if n == 0:
        return None
    rate, square = successes / n, _Z * _Z
    centre = (rate + square / (2 * n)) / (1 + square / n)
    half = _Z * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean and its standard error; the error of a single value is unknown (None), not zero."""

    mean: float
    standard_error: float | None
    n: int


def mean_of(values: Sequence[float]) -> Mean:
    """Standard error from the sample standard deviation (n - 1). Raises: ValueError when empty."""
    n = len(values)
    if n == 0:
        raise ValueError("the mean of no values is undefined")
    mean = math.fsum(values) / n
    if n == 1:
        return Mean(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Mean(mean, math.sqrt(variance / n), n)


def binomial_error(successes: int, n: int) -> float | None:
    """Standard error of a rate over `n` instances; None for none."""
    if n == 0:
        return None
    rate = successes / n
    return math.sqrt(rate * (1 - rate) / n)


@dataclass(frozen=True, slots=True)
class Paired:
    """Two runs over the same instances. `p_value` is two-sided: the exact McNemar test, which is a sign
    test over the discordant pairs (McNemar 1947). `interval` is of the difference of the rates, B - A, by
    a bootstrap over instances."""

    both: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    neither: int
    p_value: float
    interval: Interval | None

    @property
    def n(self) -> int:
        return self.both + len(self.only_a) + len(self.only_b) + self.neither

    @property
    def difference(self) -> float | None:
        """Rate of B minus rate of A."""
        return (len(self.only_b) - len(self.only_a)) / self.n if self.n else None

    def to_json(self) -> dict[str, object]:
        return {
            "instances": self.n,
            "both": self.both,
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "neither": self.neither,
            "rate_a": (self.both + len(self.only_a)) / self.n if self.n else None,
            "rate_b": (self.both + len(self.only_b)) / self.n if self.n else None,
            "difference": self.difference,
            "difference_interval": list(self.interval) if self.interval else None,
            "level": LEVEL,
            "p_value": self.p_value,
            "test": "exact McNemar, two-sided; paired bootstrap of the difference",
        }


def compare_paired(a: Mapping[str, bool], b: Mapping[str, bool], *, seed: int = 0) -> Paired:
    """Compare resolved flags of the instances that both runs graded."""
    shared = sorted(set(a) & set(b))
    only_a = tuple(name for name in shared if a[name] and not b[name])
    only_b = tuple(name for name in shared if b[name] and not a[name])
    both = sum(a[name] and b[name] for name in shared)
    discordant, fewer = len(only_a) + len(only_b), min(len(only_a), len(only_b))
    tail = sum(math.comb(discordant, k) for k in range(fewer + 1)) / 2**discordant
    interval = bootstrap_mean([float(b[name]) - float(a[name]) for name in shared], seed=seed)
    neither = len(shared) - both - discordant
    return Paired(both, only_a, only_b, neither, min(1.0, 2 * tail), interval)
