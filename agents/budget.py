"""Budget: one ledger of dollars, tokens, steps, wall and test seconds.

Money is reserved before a call is dispatched and settled after it, so that concurrent rollouts cannot
overspend together. A sub-budget (one per rollout) reserves in every ledger above it as well.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Literal

from ..tools.errors import BudgetExceeded

Kind = Literal["usd", "tokens", "steps", "test_s"]
_KINDS: tuple[Kind, ...] = ("usd", "tokens", "steps", "test_s")
_EPSILON = 1e-9
_FLAGS = {
    "usd": ("dollars", "--budget-usd"),
    "tokens": ("tokens", "--budget-tokens"),
    "steps": ("model calls", "--budget-steps"),
    "wall_s": ("wall seconds", "--timeout"),
    "test_s": ("seconds of tests", "--budget-test-time"),
}


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The most that may be spent; None is unlimited."""

    usd: float | None = None
    tokens: int | None = None
    steps: int | None = None
    wall_s: float | None = None
    test_s: float | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """An amount of each kind. `steps` counts model calls; `usd` is None where no price is known."""

    usd: float | None = 0.0
    tokens: int = 0
    steps: int = 0
    test_s: float = 0.0


class Reservation:
    """What one call may spend. Settle or release it exactly once; later calls do nothing."""

    __slots__ = ("_amount", "_budget", "_open")

    def __init__(self, budget: Budget, amount: Spending) -> None:
        self._budget = budget
        self._amount = amount
        self._open = True

    @property
    def amount(self) -> Spending:
        return self._amount

    def settle(self, spent: Spending) -> None:
        """Book what was really spent (it may be more than was reserved: it was paid all the same)."""
        if self._open:
            self._open = False
            self._budget._settle(self._amount, spent)

    def release(self) -> None:
        """Nothing was spent."""
        self.settle(Spending())


class Budget:
    """A ledger with limits, under an optional parent. Safe across threads and event loops."""

    def __init__(
        self,
        limits: BudgetLimits | None = None,
        parent: Budget | None = None,
        *,
        name: str = "run",
    ) -> None:
        self.limits = limits or BudgetLimits()
        self.name = name
        self.parent = parent
        self._lock: threading.RLock = parent._lock if parent is not None else threading.RLock()
        self._spent: dict[Kind, float] = dict.fromkeys(_KINDS, 0.0)
        self._reserved: dict[Kind, float] = dict.fromkeys(_KINDS, 0.0)
        self._priced = False
        self._started = time.monotonic()
        self._earlier_s = 0.0

    def sub(self, name: str, limits: BudgetLimits | None = None) -> Budget:
        """A ledger under this one, for a rollout."""
        return Budget(limits, self, name=name)

    @property
    def has_usd_limit(self) -> bool:
        return any(ledger.limits.usd is not None for ledger in self._chain())

    def reserve(self, amount: Spending) -> Reservation:
        """Set `amount` aside here and in every ledger above.

        Raises: BudgetExceeded naming the limit; nothing is then set aside anywhere.
        """
        with self._lock:
            self._refuse(amount)
            for ledger in self._chain():
                for kind in _KINDS:
                    ledger._reserved[kind] += getattr(amount, kind) or 0
            return Reservation(self, amount)

    async def acquire(self, amount: Spending) -> Reservation:
        """Like `reserve`, but when only the reservations of calls still under way stand in the way,
        wait for them to settle: whether a call fits must not depend on how many run beside it."""
        while True:
            with self._lock:
                try:
                    return self.reserve(amount)
                except BudgetExceeded:
                    if not any(ledger._reserved[kind] > 0 for ledger in self._chain() for kind in _KINDS):
                        raise
                    self._refuse(amount, reserved=False)
            await asyncio.sleep(0.01)

    def charge(self, spent: Spending) -> None:
        """Book what was spent without asking (a call answered from the journal, a test run)."""
        with self._lock:
            self._settle(Spending(), spent)

    def check(self) -> None:
        """Raises: BudgetExceeded when any limit is already used up."""
        with self._lock:
            self._refuse(Spending(), used_up=True)

    def check_wall(self) -> None:
        """Raises: BudgetExceeded when the time is used up, whatever else is left."""
        with self._lock:
            for ledger in self._chain():
                wall = ledger._wall_left()
                if wall is not None and wall <= 0:
                    raise BudgetExceeded(ledger._message("wall_s", ledger.wall_s, 0.0))

    def room(self, *, reserved: bool = True) -> BudgetLimits:
        """What is left here and above after spending, and reservations (unless `reserved` is False); None is
        unlimited."""
        with self._lock:
            left: dict[str, float | None] = {}
            for kind in _KINDS:
                values = [
                    v for ledger in self._chain() if (v := ledger._left(kind, reserved=reserved)) is not None
                ]
                left[kind] = max(0.0, min(values)) if values else None
            walls = [v for ledger in self._chain() if (v := ledger._wall_left()) is not None]
            usd, tokens, steps = left["usd"], left["tokens"], left["steps"]
            return BudgetLimits(
                usd=usd,
                tokens=None if tokens is None else int(tokens),
                steps=None if steps is None else int(steps),
                wall_s=max(0.0, min(walls)) if walls else None,
                test_s=left["test_s"],
            )

    def resume(self, elapsed_s: float) -> None:
        """Count `elapsed_s` wall seconds of an earlier, interrupted process."""
        self._earlier_s += elapsed_s

    @property
    def spent(self) -> Spending:
        """`usd` sums the prices that are known; None: calls were made and none had one."""
        with self._lock:
            return _amount(self._spent, priced=self._priced or not self._spent["steps"])

    @property
    def wall_s(self) -> float:
        """Seconds since this ledger was opened, with those of earlier processes."""
        return self._earlier_s + time.monotonic() - self._started

    @property
    def reserved(self) -> Spending:
        """What calls under way have set aside."""
        with self._lock:
            return _amount(self._reserved)

    def _chain(self) -> list[Budget]:
        chain: list[Budget] = []
        ledger: Budget | None = self
        while ledger is not None:
            chain.append(ledger)
            ledger = ledger.parent
        return chain

    def _left(self, kind: Kind, *, reserved: bool = True) -> float | None:
        limit = getattr(self.limits, kind)
        if limit is None:
            return None
        taken = self._spent[kind] + (self._reserved[kind] if reserved else 0.0)
        return limit - taken

    def _wall_left(self) -> float | None:
        return None if self.limits.wall_s is None else self.limits.wall_s - self.wall_s

    def _refuse(self, amount: Spending, *, reserved: bool = True, used_up: bool = False) -> None:
        self.check_wall()
        for ledger in self._chain():
            for kind in _KINDS:
                left = ledger._left(kind, reserved=reserved)
                asked = getattr(amount, kind) or 0
                if left is None:
                    continue
                too_much = asked > 0 and asked > left + _EPSILON * max(1.0, abs(left))
                if too_much or (used_up and left <= _EPSILON):
                    raise BudgetExceeded(ledger._message(kind, ledger._spent[kind], asked))

    def _settle(self, reserved: Spending, spent: Spending) -> None:
        with self._lock:
            for ledger in self._chain():
                ledger._priced |= spent.usd is not None and bool(spent.steps or spent.usd)
                for kind in _KINDS:
                    left = ledger._reserved[kind] - (getattr(reserved, kind) or 0)
                    ledger._reserved[kind] = left if left > _EPSILON else 0.0
                    ledger._spent[kind] += getattr(spent, kind) or 0

    def _message(self, kind: str, spent: float, asked: float) -> str:
        noun, flag = _FLAGS[kind]
        limit = getattr(self.limits, kind)
        shown = f"{spent:.4f} of {limit:.4f}" if kind == "usd" else f"{spent:,.0f} of {limit:,.0f}"
        more = (
            ""
            if not asked
            else f", the next call may take {asked:.4f}"
            if kind == "usd"
            else f", next {asked:,.0f}"
        )
        return f"the limit of {noun} of the {self.name} is reached ({shown} spent{more}); raise {flag}"


def _amount(of: dict[Kind, float], *, priced: bool = True) -> Spending:
    usd = round(of["usd"], 10) if priced else None
    return Spending(usd, int(of["tokens"]), int(of["steps"]), of["test_s"])
