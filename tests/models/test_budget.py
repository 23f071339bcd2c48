"""Laws of the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.agents.budget import Budget, BudgetLimits, Spending
from swe_agent.tools.errors import BudgetExceeded

amounts = st.builds(
    Spending,
    usd=st.floats(0, 2, allow_nan=False),
    tokens=st.integers(0, 300),
    steps=st.integers(0, 3),
    test_s=st.floats(0, 5, allow_nan=False),
)
limits = st.builds(
    BudgetLimits,
    usd=st.none() | st.floats(0.1, 5),
    tokens=st.none() | st.integers(1, 1000),
    steps=st.none() | st.integers(1, 10),
    test_s=st.none() | st.floats(0.1, 20),
)


def _within(budget: Budget) -> bool:
    spent = budget.spent
    return all(
        limit is None or getattr(spent, kind) <= limit + 1e-6
        for kind in ("usd", "tokens", "steps", "test_s")
        for limit in [getattr(budget.limits, kind)]
    )


@given(limits, limits, st.lists(st.tuples(amounts, st.floats(0, 1), st.integers(0, 2)), max_size=40))
def test_never_exceeded_when_calls_cost_at_most_what_they_reserved(
    top: BudgetLimits, low: BudgetLimits, calls: list[tuple[Spending, float, int]]
) -> None:
    run = Budget(top)
    ledgers = [run, run.sub("coder", low), run.sub("critic")]
    opened = []
    for amount, share, which in calls:
        with contextlib.suppress(BudgetExceeded):
            opened.append((ledgers[which].reserve(amount), amount, share))
        if len(opened) > 3:
            reservation, reserved, part = opened.pop(0)
            reservation.settle(
                Spending(
                    reserved.usd * part,
                    int(reserved.tokens * part),
                    int(reserved.steps * part),
                    reserved.test_s * part,
                )
            )
        assert all(_within(ledger) for ledger in ledgers)
    for reservation, reserved, _ in opened:
        reservation.settle(reserved)
    assert all(_within(ledger) for ledger in ledgers)
    assert run.reserved == Spending()


@given(st.lists(amounts, max_size=20))
def test_a_parent_has_spent_what_its_children_have(spent: list[Spending]) -> None:
    run = Budget()
    children = [run.sub("a"), run.sub("b")]
    for i, amount in enumerate(spent):
        children[i % 2].charge(amount)
    for kind in ("usd", "tokens", "steps", "test_s"):
        total = sum(getattr(child.spent, kind) for child in children)
        assert getattr(run.spent, kind) == pytest.approx(total, abs=1e-6)


@given(limits, amounts)
def test_a_refused_reservation_leaves_no_trace(top: BudgetLimits, amount: Spending) -> None:
    run = Budget(BudgetLimits())
    role = run.sub("role", top)
    before = run.reserved, run.spent
    with contextlib.suppress(BudgetExceeded):
        role.reserve(amount).release()
    assert (run.reserved, run.spent) == before


def test_threads_cannot_overspend_together() -> None:
    run = Budget(BudgetLimits(tokens=1000))
    done: list[int] = []

    def work() -> None:
        role = run.sub("rollout")
        for _ in range(50):
            try:
                reservation = role.reserve(Spending(tokens=7))
            except BudgetExceeded:
                return
            time.sleep(0)
            reservation.settle(Spending(tokens=7))
            done.append(7)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == run.spent.tokens == 994


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12))
def test_what_fits_does_not_depend_on_how_many_run_at_once(workers: int) -> None:
    async def run() -> int:
        budget = Budget(BudgetLimits(tokens=100))
        calls = 0

        async def rollout() -> None:
            nonlocal calls
            while True:
                try:
                    reservation = await budget.acquire(Spending(tokens=40))
                except BudgetExceeded:
                    return
                await asyncio.sleep(0)
                calls += 1
                reservation.settle(Spending(tokens=10))

        await asyncio.gather(*(rollout() for _ in range(workers)))
        return calls

    assert asyncio.run(run()) == 7


@pytest.mark.parametrize(
    ("limit", "amount", "flag"),
    [
        (BudgetLimits(usd=1.0), Spending(usd=1.01), "--budget-usd"),
        (BudgetLimits(tokens=10), Spending(tokens=11), "--budget-tokens"),
        (BudgetLimits(steps=1), Spending(steps=2), "--budget-steps"),
        (BudgetLimits(wall_s=0.0), Spending(), "--timeout"),
    ],
)
def test_the_error_names_the_limit_and_its_flag(limit: BudgetLimits, amount: Spending, flag: str) -> None:
    with pytest.raises(BudgetExceeded, match=flag):
        Budget(limit).reserve(amount)


def test_an_unknown_price_is_not_free() -> None:
    run = Budget()
    rollout = run.sub("n0")
    rollout.charge(Spending(usd=None, tokens=10, steps=1))
    assert (rollout.spent.usd, run.spent.usd) == (None, None)
    rollout.charge(Spending(usd=0.5, tokens=10, steps=1))
    assert rollout.spent == Spending(0.5, 20, 2)
    assert run.sub("n1").spent.usd == 0.0, "nothing was asked there"


def test_a_role_limit_stops_the_role_alone() -> None:
    run = Budget(BudgetLimits(tokens=100))
    critic = run.sub("critic", BudgetLimits(tokens=10))
    with pytest.raises(BudgetExceeded, match="critic"):
        critic.reserve(Spending(tokens=11))
    run.sub("coder").reserve(Spending(tokens=90)).release()


def test_an_overrun_is_booked_and_stops_the_next_call() -> None:
    run = Budget(BudgetLimits(tokens=100))
    run.reserve(Spending(tokens=50)).settle(Spending(tokens=150))
    assert run.spent.tokens == 150
    with pytest.raises(BudgetExceeded):
        run.check()
    assert run.room().tokens == 0


def test_a_reservation_settles_once() -> None:
    run = Budget()
    reservation = run.reserve(Spending(tokens=5))
    reservation.settle(Spending(tokens=5))
    reservation.settle(Spending(tokens=5))
    reservation.release()
    assert run.spent.tokens == 5


def test_earlier_processes_count_against_the_wall() -> None:
    run = Budget(BudgetLimits(wall_s=100))
    run.resume(99.0)
    left = run.room().wall_s
    assert left is not None
    assert left < 1.1
    run.resume(2.0)
    with pytest.raises(BudgetExceeded):
        run.check()
