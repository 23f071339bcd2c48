"""Cost: what a rollout spent, or may spend, in the units a budget knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from statistics import median
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Cost:
    """As usage, None is "not measured" (an unknown price is not free); as a limit, None is "no limit"."""

    usd: float | None = None
    tokens: float | None = None
    """Prompt and completion tokens together."""
    turns: float | None = None
    """Role turns: an edit and a test run each."""
    test_s: float | None = None
    """Seconds of test execution."""

    def __add__(self, other: Cost) -> Cost:
        """Sum of two usages; what neither measured stays unmeasured."""
        return Cost(
            _sum(self.usd, other.usd),
            _sum(self.tokens, other.tokens),
            _sum(self.turns, other.turns),
            _sum(self.test_s, other.test_s),
        )

    def scaled(self, factor: float) -> Cost:
        """This limit times `factor`; whole units are rounded down."""
        values = [getattr(self, name) for name in _NAMES]
        return Cost(*(int(v * factor) if isinstance(v, int) else v and v * factor for v in values))

    def less(self, used: Cost) -> Cost:
        """What a limit leaves after `used`, never below zero; unlimited stays unlimited."""
        return Cost(*(_left(getattr(self, name), getattr(used, name)) for name in _NAMES))

    def at_least(self, floor: Cost, cap: Cost) -> Cost:
        """This limit raised to `floor` where it is lower, as far as `cap` allows."""
        return Cost(
            *(
                mine
                if mine is None or low is None or mine >= low
                else min(low, top if top is not None else low)
                for mine, low, top in ((getattr(self, n), getattr(floor, n), getattr(cap, n)) for n in _NAMES)
            )
        )

    def covers(self, need: Cost) -> bool:
        """Whether this limit has room for `need` in every unit where both are known."""
        return not self.short_of(need)

    def short_of(self, need: Cost) -> str | None:
        """The first unit in which this limit is below `need`, or None."""
        for name in _NAMES:
            limit, wanted = getattr(self, name), getattr(need, name)
            if limit is not None and wanted is not None and limit < wanted - 1e-12:
                return name
        return None

    @property
    def spent_out(self) -> bool:
        """As a limit: whether some unit has nothing left."""
        return any(getattr(self, name) is not None and getattr(self, name) <= 0 for name in _NAMES)

    def to_json(self) -> dict[str, float | int | None]:
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**{name: data.get(name) for name in _NAMES})


_NAMES = tuple(item.name for item in fields(Cost))

NOTHING = Cost()
"""As usage: nothing measured; as a limit: none."""


def _sum(left: float | None, right: float | None) -> float | None:
    return right if left is None else left if right is None else left + right


def _left(limit: float | None, used: float | None) -> float | None:
    return None if limit is None else limit if used is None else max(type(limit)(0), limit - used)


def typical(costs: Iterable[Cost]) -> Cost:
    """The median of each unit over the rollouts that measured it."""
    seen = list(costs)
    columns = ([v for cost in seen if (v := getattr(cost, name)) is not None] for name in _NAMES)
    return Cost(*(median(column) if column else None for column in columns))
