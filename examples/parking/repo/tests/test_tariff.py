import pytest

from parking import Tariff, charge
from parking.clock import stay


def test_first_quarter_is_free():
    assert charge(0) == 0
    assert charge(15) == 0


@pytest.mark.parametrize(("minutes", "hours"), [(16, 1), (59, 1), (61, 2), (119, 2), (121, 3)])
def test_every_hour_begun_counts(minutes, hours):
    assert charge(minutes) == hours * Tariff().per_hour


@pytest.mark.parametrize(("arrival", "departure", "hours"), [("10:00", "11:00", 1), ("10:00", "12:00", 2)])
def test_a_stay_that_ends_on_the_hour(arrival, departure, hours):
    assert charge(stay(arrival, departure)) == hours * Tariff().per_hour


def test_a_day_costs_at_most_its_cap():
    assert charge(23 * 60 + 30) == Tariff().per_day
    assert charge(24 * 60) == Tariff().per_day
    assert charge(25 * 60 + 1) == Tariff().per_day + 2 * Tariff().per_hour


def test_a_negative_stay_is_refused():
    with pytest.raises(ValueError, match="negative"):
        charge(-1)
