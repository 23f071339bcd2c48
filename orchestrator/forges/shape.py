"""of_shape: an answer that is JSON but not the forge's is the forge's failure, told in one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ...tools.errors import ForgeError

T = TypeVar("T")
_SHAPE = (AttributeError, TypeError, KeyError, IndexError, ValueError, RecursionError)
"""What reading a value of another JSON type, or a member that is not there, raises."""


def of_shape(method: Callable[..., T]) -> Callable[..., T]:
    """For the methods of a `Forge`. Raises: ForgeError for an answer whose members are not where they belong."""

    @wraps(method)
    def read(self: Any, *arguments: Any, **named: Any) -> T:
        try:
            return method(self, *arguments, **named)
        except _SHAPE as error:
            forge = type(self).__name__
            raise ForgeError(
                f"{self.reference.host} answered in another shape than {forge}'s "
                f"({type(error).__name__}: {str(error)[:120]}); is this {forge}?"
            ) from error

    return read
