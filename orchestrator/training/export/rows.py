"""Row: one line of an export, with what the filters need to know about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .options import ExportOptions, Tally
from .view import View


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


RowMaker = Callable[[View, ExportOptions, Tally], Iterator[Row]]


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def joined(texts: Iterable[str]) -> Raw:
    """A JSON list of texts that are JSON already."""
    return Raw("[" + ",".join(texts) + "]")
