"""without_surrogates: text that JSON can carry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def without_surrogates(value: Any) -> tuple[Any, int]:
    """`value` with lone surrogates replaced, and how many there were: JSON text cannot carry them."""
    lost = 0

    def clean(item: Any) -> Any:
        nonlocal lost
        if isinstance(item, str):
            if item.isascii():
                return item
            text, count = _SURROGATE.subn("�", item)
            lost += count
            return text
        if isinstance(item, Mapping):
            return {clean(key): clean(part) for key, part in item.items()}
        if isinstance(item, (list, tuple)):
            return [clean(part) for part in item]
        return item

    return clean(value), lost
