"""Tariffs of a car park."""

from parking.tariff import Tariff, charge

__all__ = ["Tariff", "charge"]
