"""What a stay costs."""

from dataclasses import dataclass

from parking.clock import MINUTES_PER_DAY, MINUTES_PER_HOUR


@dataclass(frozen=True)
class Tariff:
    """Prices in cents."""

    per_hour: int = 250
    per_day: int = 2000
    free_minutes: int = 15


def hours_begun(minutes):
    """Whole hours that a stay of so many minutes is charged for."""
    return minutes // MINUTES_PER_HOUR + 1


def charge(minutes, tariff=Tariff()):
    """Price in cents of a stay of so many minutes."""
    if minutes < 0:
        raise ValueError("a stay cannot be negative")
    days, rest = divmod(minutes, MINUTES_PER_DAY)
    if days == 0 and rest <= tariff.free_minutes:
        return 0
    price = days * tariff.per_day
    if rest > 0:
        price += min(hours_begun(rest) * tariff.per_hour, tariff.per_day)
    return price
