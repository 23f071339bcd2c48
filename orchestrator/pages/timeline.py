"""Timeline: what took how long in a run, on one axis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from ..report.live import clock

Kind = Literal["model", "tests", "tool", "set-up"]
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time, in Unix seconds."""

    lane: str
    kind: Kind
    start: float
    end: float
    title: str
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A span on the axis; `left` and `width` in percent of it."""

    kind: Kind
    left: float
    width: float
    title: str
    step: int | None


@dataclass(slots=True)
class Timeline:
    lanes: dict[str, list[list[Bar]]] = field(default_factory=dict[str, list[list[Bar]]])
    """Lane → rows of bars that do not overlap."""
    ticks: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    """(percent, label)."""
    seconds: dict[Kind, float] = field(default_factory=dict[Kind, float])
    """Kind → sum over its spans."""
    span_s: float = 0.0


def timeline(spans: Iterable[Span], pauses: Iterable[tuple[float, float]] = ()) -> Timeline:
    """The spans on one axis; `pauses` (from, to) in which nobody worked are cut out of it."""
    gaps = list(pauses)

    def at(moment: float) -> float:
        return moment - sum(min(moment, end) - start for start, end in gaps if moment > start)

    known = sorted(spans, key=lambda span: (span.start, span.end))
    found = Timeline()
    if not known:
        return found
    first, last = at(known[0].start), max(at(span.end) for span in known)
    found.span_s = total = max(last - first, 1e-3)
    ends: dict[str, list[float]] = defaultdict(list)
    for span in known:
        left, right = at(span.start) - first, at(span.end) - first
        rows = ends[span.lane]
        row = next((n for n, end in enumerate(rows) if end <= left + 1e-3), len(rows))
        rows[row : row + 1] = [right]
        lane = found.lanes.setdefault(span.lane, [])
        if row == len(lane):
            lane.append([])
        width = min(100.0, max(0.3, 100 * (right - left) / total))
        start = min(100 * left / total, 100 - width)
        lane[row].append(Bar(span.kind, round(start, 3), round(width, 3), span.title, span.step))
        found.seconds[span.kind] = found.seconds.get(span.kind, 0.0) + right - left
    found.ticks = list(_ticks(total))
    return found


def _ticks(total: float) -> Iterator[tuple[float, str]]:
    step = next((step for step in _STEPS_S if total / step <= _TICKS), _STEPS_S[-1])
    for number in range(int(total / step) + 1):
        moment = number * step
        if moment > 0.94 * total:  # its label would not fit
            return
        yield round(100 * moment / total, 3), f"{moment:.1f}" if step < 1 else clock(moment)
