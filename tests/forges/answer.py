"""Answers of the forge on loopback, and pages of lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PER_PAGE = 30


@dataclass
class Answer:
    """A canned answer for a path: status, headers, body."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def page(url: str, items: list[Any], query: Mapping[str, list[str]]) -> Answer:
    """One page of a list; `url` is that of the list."""
    size = min(int(query.get("per_page", [str(PER_PAGE)])[0]), 100)
    number = int(query.get("page", ["1"])[0])
    headers = {}
    if number * size < len(items):
        headers["Link"] = (
            f'<{url}?per_page={size}&page={number + 1}>; rel="next", '
            f'<{url}?per_page={size}&page=99>; rel="last"'
        )
    return Answer(200, items[(number - 1) * size : number * size], headers)
