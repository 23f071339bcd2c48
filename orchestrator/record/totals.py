"""Totals: what the model calls of a run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar

N = TypeVar("N", int, float)


class RoleSpent(TypedDict):
    calls: int
    cost_usd: float | None


class Spent(TypedDict, total=False):
    """`CallTotals` as a run's result keeps them, with its wall time; empty of a run that did not come so far."""

    calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    by_role: dict[str, RoleSpent]
    wall_s: float


@dataclass(slots=True)
class RoleTotals:
    calls: int = 0
    cost_usd: float | None = 0.0


@dataclass(slots=True)
class CallTotals:
    """Sums over calls. A sum that misses a part is None: null is never 0."""

    calls: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: float | None = 0.0
    by_role: dict[str, RoleTotals] = field(default_factory=dict[str, RoleTotals])

    def spent(self, wall_s: float) -> Spent:
        """`wall_s`: seconds of the run."""
        return {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_usd": self.cost_usd,
            "by_role": {
                role: {"calls": part.calls, "cost_usd": part.cost_usd} for role, part in self.by_role.items()
            },
            "wall_s": round(wall_s, 3),
        }

    @property
    def tokens(self) -> int | None:
        """Prompt and completion tokens together."""
        return _plus(self.prompt_tokens, self.completion_tokens)

    def add(self, role: str, usage: Mapping[str, Any], *, is_llm: bool) -> None:
        """Count a call with the `usage` of its event. What is no model costs nothing where nobody says."""
        cost = usage.get("cost_usd") if is_llm else usage.get("cost_usd") or 0.0
        self.calls += 1
        self.prompt_tokens = _plus(self.prompt_tokens, usage.get("prompt_tokens"))
        self.completion_tokens = _plus(self.completion_tokens, usage.get("completion_tokens"))
        self.cost_usd = _plus(self.cost_usd, cost)
        mine = self.by_role.setdefault(role, RoleTotals())
        mine.calls += 1
        mine.cost_usd = _plus(mine.cost_usd, cost)


def _plus(total: N | None, part: N | None) -> N | None:
    return None if total is None or part is None else total + part
