"""Row: one line of an export, with what the filters need to know about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class Raw(str):
    """JSON text that goes into a row as it stands (messages are serialised once per record, not per row)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Row:
    """`fields` in column order; every row of a kind has the same columns."""

    fields: Mapping[str, Any]
    instance: str
    label: bool | None = None
    """Class of the row where the kind has classes to be mixed (kto)."""

    def dumps(self) -> str:
        parts = (
            f"{json.dumps(key)}:{value if isinstance(value, Raw) else compact(value)}"
            for key, value in self.fields.items()
        )
        return "{" + ",".join(parts) + "}"


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compact(value: Any) -> str:
    """JSON without spaces. Raises: ValueError for a number that is not finite."""
    return _ENCODER.encode(value)


def joined(texts: Iterable[str]) -> Raw:
    """A JSON list of texts that are JSON already."""
    return Raw("[" + ",".join(texts) + "]")
