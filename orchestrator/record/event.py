"""Event: what one line of `events.jsonl` says, as a dataclass that writes and reads itself.

A line is `{"seq", "at", "type", ...fields}` (`log.py`); `events.py` is the vocabulary. Reading tolerates what
older runs did not write and what newer ones add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, Self, TypeAlias, TypeVar, dataclass_transform

from ...tools.errors import RecordError

JsonObject: TypeAlias = dict[str, Any]
Line: TypeAlias = Mapping[str, Any]
"""A line of the log as it is read."""
SEARCH = "search"
"""The `by` of every event that the search writes."""

E = TypeVar("E", bound="Event")
TYPES: dict[str, type[Event]] = {}
"""`type` of a line → its class."""


OPTIONAL = {"optional": True}
"""Metadata of a field that is left out of the line while it is None; `name` says what it is called there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    type: ClassVar[str]
    key: ClassVar[tuple[str, ...] | None] = None
    """Fields that name one of these in a run, which is written once; None: there may be any number."""

    def to_json(self) -> JsonObject:
        """The fields of its line."""
        return {
            name: value
            for attribute, name, leave_out in _plan(type(self))
            if (value := getattr(self, attribute)) is not None or not leave_out
        }

    @classmethod
    def from_json(cls, line: Line) -> Self:
        """The event of a line. Raises: RecordError naming the first field that is lacking."""
        values: JsonObject = {}
        for item in _fields(cls):
            name = item.metadata.get("name") or item.name
            if name in line:
                values[item.name] = line[name]
            elif item.default is MISSING and item.default_factory is MISSING:
                raise RecordError(f"a {cls.type} event lacks {name}")
        return cls(**values)

    @property
    def name_in_run(self) -> tuple[Any, ...] | None:
        """What names this event in its run; None where nothing does."""
        return None if self.key is None else (self.type, *(getattr(self, part) for part in self.key))


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def event(name: str, key: tuple[str, ...] | None = None) -> Callable[[type[E]], type[E]]:
    """Class decorator: a frozen dataclass that is registered as the type `name`."""

    def register(cls: type[E]) -> type[E]:
        made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        made.type, made.key = name, key
        TYPES[name] = made
        return made

    return register


@cache
def _fields(cls: type[Event]) -> tuple[Field[Any], ...]:
    return fields(cls)


@cache
def _plan(cls: type[Event]) -> tuple[tuple[str, str, bool], ...]:
    """Per field: attribute, name in the line, whether None is left out. `by` comes last."""
    return tuple(
        (item.name, item.metadata.get("name") or item.name, bool(item.metadata.get("optional")))
        for item in sorted(fields(cls), key=lambda item: item.name == "by")
    )


def read(line: Line) -> Event | None:
    """The event of a line; None for a type that this version does not know.
    Raises: RecordError when a field that every version wrote is lacking."""
    cls = TYPES.get(line["type"])
    return None if cls is None else cls.from_json(line)
