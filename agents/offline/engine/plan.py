"""Plan: how much of a search is spent and where it may stop, counted in candidates.

Nothing here asks a clock, so the same request gives the same answer on a quiet and on a crowded machine, with one
worker and with many: candidates are numbered in the order in which they were planned, and what a candidate with a
higher number found never decides whether one with a lower number counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Dict, List, NamedTuple, Optional, Tuple

from .candidate import Candidate

FRESH = 25
"""Candidates that one run with fresh imports counts for."""
_SHARE = 0.4
"""Of the effort, for fresh runs, where there are warm workers."""

_FIRST_PART = 0.6
"""Of the effort, for single edits before edits are put together."""

_SHORT = ((5_000, 4), (50_000, 2))
"""(events of the tests at most, candidates that count for one)"""

Numbered = Tuple[int, Candidate]


def per_effort(events: Optional[int]) -> int:
    """Candidates that count for one where the tests do as little as this; None: it is not known."""
    return next((count for most, count in _SHORT if events is not None and events <= most), 1)


class Pace(NamedTuple):
    """What the tests take on the unchanged code."""

    failing_s: float
    """Processor seconds of the failing tests; of them and their neighbours: `all_s`."""
    all_s: float
    events: Optional[int] = None
    """See `Spectrum.events`."""

    @property
    def limit(self) -> float:
        """Processor seconds that a candidate has for all tests."""
        return min(30.0, max(0.1, 10 * self.all_s))

    @property
    def first_limit(self) -> float:
        """For the failing tests alone, which most candidates never get beyond: endless loops end soon."""
        return min(self.limit, max(0.5, 10 * self.failing_s))


class Plan:
    """`effort` times `per` candidates at most; `k` patches are wanted."""

    def __init__(self, effort: int, k: int, skip: int, warm: bool, per: int = 1) -> None:
        self.asked = effort
        self.effort = self._until = effort * per
        self.k = k
        self.skip = skip
        self.number = 0
        self.fresh_left = int(effort * (_SHARE if warm else 1.0) / FRESH) + 1
        self._found: Dict[str, Numbered] = {}

    @contextmanager
    def part(self) -> Iterator[None]:
        """Within it the plan is done when the first part of the effort is spent."""
        self._until = int(_FIRST_PART * self.effort)
        yield
        self._until = self.effort

    def next(self) -> int:
        self.number += 1
        return self.number

    def accept(self, number: int, candidate: Candidate, key: str) -> None:
        """Keep a plausible candidate; of those with the same code (`key`) the first."""
        known = self._found.get(key)
        if known is None or number < known[0]:
            self._found[key] = (number, candidate)

    @property
    def first(self) -> Optional[int]:
        """Number of the first plausible candidate."""
        return min((number for number, _ in self._found.values()), default=None)

    @property
    def stop_at(self) -> Optional[int]:
        """The number behind which nothing counts: some way behind the first patch, for others may be better."""
        numbers = sorted(number for number, _ in self._found.values())
        if not numbers:
            return None
        bound = numbers[0] + (max(300, numbers[0] // 2) if self.k > 1 else 0)
        enough = 2 * self.k + 2
        return min(bound, numbers[enough - 1]) if len(numbers) >= enough else bound

    @property
    def done(self) -> bool:
        stop = self.stop_at
        return self.number >= self._until or (stop is not None and self.number >= stop)

    @property
    def plausible(self) -> List[Numbered]:
        """What counts, in the order of the plan."""
        stop = self.stop_at
        return sorted(
            ((n, c) for n, c in self._found.values() if stop is None or n <= stop), key=lambda pair: pair[0]
        )


def keep_first(table: Dict[str, Numbered], key: str, number: int, candidate: Candidate) -> None:
    """Of candidates with the same code the one with the lowest number."""
    known = table.get(key)
    if known is None or number < known[0]:
        table[key] = (number, candidate)


def nothing(plan: Plan, tried: int, time_up: bool, best: int = 0) -> str:
    """Why there is no patch, and what was really done. `best`: outcomes that the best candidate turned green."""
    if not tried:
        return "the failing tests reach no line that may be edited"
    said = f"{tried} of at most {plan.effort} candidates were tried and none made the failing tests pass"
    if plan.plausible:
        count = len(plan.plausible)
        return f"{said} in an ordinary run, although {count} did where tests are run again and again"
    if best:
        said += f" (the best turned {best} outcome{'s' * (best > 1)} green)"
    if time_up:
        return f"{said}; the time limit ended the search"
    if plan.number >= plan.effort:
        return f"{said}; --effort {2 * plan.asked} looks twice as far"
    return f"{said}; no more edits of the known kinds are left"
