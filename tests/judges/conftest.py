"""The small repositories of the test runner's tests."""

from warm.conftest import make

__all__ = ["make"]
