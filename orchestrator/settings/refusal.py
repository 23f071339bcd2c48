"""checked: one validation for every source of settings, in the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import ValidationError

from ...tools.errors import UsageError
from .flag import Group, choices_of, key_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

S = TypeVar("S", bound=Group)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def checked(kind: type[S], values: Mapping[str, Any], name_of: Callable[[str], str] | None = None) -> S:
    """The settings, if they are right; `name_of` says what the user wrote a field as (its flag, a variable, a
    key of a file). Raises: UsageError, one line about the first fault."""
    try:
        return kind(**values)
    except ValidationError as error:
        _refuse(kind, error.errors()[0], name_of)


def _refuse(kind: type[Group], fault: ErrorDetails, name_of: Callable[[str], str] | None) -> NoReturn:
    if not fault["loc"]:
        raise UsageError(str(fault.get("ctx", {}).get("error", fault["msg"])))
    place = str(fault["loc"][0])
    field = kind.model_fields[place]
    name = name_of(place) if name_of else f"--{key_of(place, field)}"
    given = fault["input"]
    context = fault.get("ctx", {})
    shown = repr(given) if isinstance(given, str) else f"{given!s}"
    match fault["type"]:
        case "literal_error" | "bool_parsing" | "bool_type" if choices := choices_of(field):
            hint = nearest(str(given), choices)
            raise UsageError(f"{name} {given!r}: choose from {', '.join(choices)}{hint}")
        case "bool_parsing" | "bool_type":
            raise UsageError(f"{name} must be true or false, not {shown}")
        case "greater_than":
            raise UsageError(f"{name} must be positive, not {given}")
        case "greater_than_equal":
            raise UsageError(f"{name} must be {context['ge']:g} or more, not {given}")
        case "less_than_equal":
            raise UsageError(f"{name} must be {context['le']:g} or less, not {given}")
        case "finite_number":
            raise UsageError(f"{name} must be a finite number, not {given}")
        case "int_parsing" | "int_type" | "int_from_float":
            raise UsageError(f"{name} must be a whole number, not {shown}")
        case "float_parsing" | "float_type":
            raise UsageError(f"{name} must be a number, not {shown}")
        case "value_error":
            raise UsageError(f"{name} {shown}: {context['error']}")
        case _:
            raise UsageError(f"{name} {shown}: {fault['msg']}")
