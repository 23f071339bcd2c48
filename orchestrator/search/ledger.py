"""Ledger: reserve before dispatch, settle after; the sum of both never passes the limit."""

from __future__ import annotations

from threading import Lock

from .cost import Cost


class Ledger:
    """A thread-safe budget. What is spent beyond a reservation (a call that cost more than it said) is
    booked too, and shrinks what can still be reserved."""

    def __init__(self, limits: Cost) -> None:
        self.limits = limits
        self.spent = Cost()
        self._held: dict[str, Cost] = {}
        self._lock = Lock()

    @property
    def reserved(self) -> Cost:
        return sum(self._held.values(), Cost())

    @property
    def remaining(self) -> Cost:
        """What can still be reserved."""
        return self.limits.less(self.spent).less(self.reserved)

    def reserve(self, key: str, amount: Cost) -> bool:
        with self._lock:
            if key in self._held or not self.remaining.covers(amount):
                return False
            self._held[key] = amount
            return True

    def settle(self, key: str, spent: Cost) -> None:
        with self._lock:
            self._held.pop(key, None)
            self.spent = self.spent + spent
