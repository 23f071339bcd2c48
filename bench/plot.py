"""Small multiples as SVG, written by hand: one panel per series set, shared axes, readable in light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil

COLOURS = ("#8a8f98", "#d97706", "#2563eb", "#059669")
_W, _H, _GAP, _TOP = 230, 150, 34, 56


def panels(
    title: str, x_label: str, lines: Mapping[str, Mapping[str, Sequence[float]]], *, columns: int = 4
) -> str:
    """`lines`: panel → series → rate in [0, 1] at x = 1, 2, ... Every panel has the same series."""
    names = list(next(iter(lines.values()))) if lines else []
    rows = ceil(len(lines) / columns)
    width = columns * (_W + _GAP) + _GAP
    height = _TOP + rows * (_H + 2 * _GAP) + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" role="img"><title>{escape(title)}</title>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_GAP}" y="22" font-size="15" fill="#111827">{escape(title)}</text>',
    ]
    for i, name in enumerate(names):
        x = _GAP + i * 110
        out.append(f'<rect x="{x}" y="34" width="14" height="4" fill="{COLOURS[i]}"/>')
        out.append(f'<text x="{x + 20}" y="40" fill="#374151">{escape(name)}</text>')
    for number, (panel, series) in enumerate(lines.items()):
        left = _GAP + (number % columns) * (_W + _GAP)
        top = _TOP + (number // columns) * (_H + 2 * _GAP) + 14
        out += _panel(panel, x_label, series, left, top)
    return "\n".join([*out, "</svg>", ""])


def _panel(name: str, x_label: str, series: Mapping[str, Sequence[float]], left: int, top: int) -> list[str]:
    longest = max(len(values) for values in series.values())
    out = [f'<text x="{left}" y="{top - 6}" font-weight="bold" fill="#111827">{escape(name)}</text>']
    for mark in (0, 0.25, 0.5, 0.75, 1):
        y = top + _H * (1 - mark)
        out.append(f'<line x1="{left}" x2="{left + _W}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e7eb"/>')
        out.append(f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end" fill="#6b7280">{mark:.0%}</text>')
    for tick in range(0, longest + 1, max(1, longest // 4)):
        x = left + _W * tick / longest
        out.append(f'<text x="{x:.1f}" y="{top + _H + 14}" text-anchor="middle" fill="#6b7280">{tick}</text>')
    out.append(
        f'<text x="{left + _W}" y="{top + _H + 27}" text-anchor="end" fill="#6b7280">{escape(x_label)}</text>'
    )
    for i, values in enumerate(series.values()):
        points = " ".join(
            f"{left + _W * (x + 1) / longest:.1f},{top + _H * (1 - value):.1f}"
            for x, value in enumerate(values)
        )
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" stroke-width="1.8"/>')
    return out
