"""Statistics of evaluations: pass@k, mean and standard error over seeds, paired comparison of two runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased estimate of the chance that one of `k` samples is right when `c` of `n` were:
    1 - C(n-c, k) / C(n, k) (Chen et al. 2021, "Evaluating Large Language Models Trained on Code").
    Raises: ValueError unless 0 <= c <= n and 1 <= k <= n."""
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} of {c} right among {n} is undefined")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


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
    test over the discordant pairs (McNemar 1947)."""

    both: int
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    neither: int
    p_value: float

    @property
    def n(self) -> int:
        return self.both + len(self.only_a) + len(self.only_b) + self.neither

    def to_json(self) -> dict[str, object]:
        return {
            "instances": self.n,
            "both": self.both,
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "neither": self.neither,
            "rate_a": (self.both + len(self.only_a)) / self.n if self.n else None,
            "rate_b": (self.both + len(self.only_b)) / self.n if self.n else None,
            "p_value": self.p_value,
            "test": "exact McNemar, two-sided",
        }


def compare_paired(a: Mapping[str, bool], b: Mapping[str, bool]) -> Paired:
    """Compare resolved flags of the instances that both runs graded."""
    shared = sorted(set(a) & set(b))
    only_a = tuple(name for name in shared if a[name] and not b[name])
    only_b = tuple(name for name in shared if b[name] and not a[name])
    both = sum(a[name] and b[name] for name in shared)
    discordant, fewer = len(only_a) + len(only_b), min(len(only_a), len(only_b))
    tail = sum(math.comb(discordant, k) for k in range(fewer + 1)) / 2**discordant
    return Paired(both, only_a, only_b, len(shared) - both - discordant, min(1.0, 2 * tail))
