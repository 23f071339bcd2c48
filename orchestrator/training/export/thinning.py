"""thinned: rows whose prompts repeat one another, as many of a run as its record is large.

A row per message carries its whole prompt, so all rows of a path grow with the square of its length, and pairs with
the square of the candidates. Prompts are not cut, because one that was never sent teaches what will never be asked:
fewer rows are taken, each exact, spread evenly over the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from .options import ExportOptions, Tally
from .rows import Row
from .view import View

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that could be written."""

    size: int
    """Characters of conversation in it: all but the task and the schemas, which every row needs."""
    row: Callable[[], Row]
    label: bool | None = None
    """Class of the row where the kind has classes: each gets its share."""


def thinned(view: View, drafts: Iterable[Draft], options: ExportOptions, tally: Tally) -> Iterator[Row]:
    """The rows of one run in their order, their conversations together at most `options.max_growth` times as large
    as its record (at least one row; 0: all of them)."""
    found = list(drafts)
    kept: Iterable[int] = range(len(found))
    if options.max_growth and sum(draft.size for draft in found) > options.max_growth * view.size:
        kept = sorted(_within(found, options.max_growth * view.size, view.record.run_id))
        tally.drop("thinned", len(found) - len(kept))
    for index in kept:
        yield found[index].row()


def _within(drafts: Sequence[Draft], limit: float, name: str) -> list[int]:
    classes: dict[bool | None, list[int]] = {}
    for index, draft in enumerate(drafts):
        classes.setdefault(draft.label, []).append(index)
    start = (
        int.from_bytes(hashlib.sha256(name.encode("utf-8", "backslashreplace")).digest()[:4], "big") / 2**32
    )
    orders = [[members[one] for one in spread(len(members), start)] for members in classes.values()]
    kept: list[int] = []
    left = limit
    for index in (one for turn in zip_longest(*orders) for one in turn if one is not None):
        if kept and drafts[index].size > left:
            break  # going on with shorter ones would prefer the beginnings of paths
        kept.append(index)
        left -= drafts[index].size
    return kept


def spread(count: int, start: float = 0.0) -> list[int]:
    """0 to count - 1 in an order of which every beginning is spread evenly (golden section); `start` in [0, 1)."""
    order: dict[int, None] = {}
    turn = 0
    while len(order) < count:
        order[int(count * ((start + turn * _GOLDEN) % 1.0))] = None
        turn += 1
    return list(order)
