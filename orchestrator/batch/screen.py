"""Screens of a batch: a live table on a terminal, plain lines elsewhere. Both write to stderr."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..report.duration import duration
from .job import Doing, JobOutcome


class Running(Doing):
    """A job, and since when (`time.monotonic`) it runs."""

    since: float


@dataclass(slots=True)
class ScreenTally:
    """What a screen shows, whatever it looks like."""

    total: int
    done: int = 0
    cost: float = 0.0
    unpriced: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    running: dict[str, Running] = field(default_factory=dict[str, Running])
    started: float = field(default_factory=time.monotonic)
    done_before: int = 0

    def ended(self, outcome: JobOutcome, *, again: bool) -> None:
        self.running.pop(outcome.id, None)
        if outcome.cost_usd is None:
            self.unpriced += outcome.kind == "finished"
        else:
            self.cost += outcome.cost_usd
        if outcome.kind == "finished":
            self.done += 1
        if not again:
            self.reasons[outcome.reason] += 1

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the pace of this call; None before anything ended."""
        ended = self.done - self.done_before
        if ended <= 0:
            return None
        return (time.monotonic() - self.started) / ended * (self.total - self.done)


class PlainScreen:
    """One line per thing that happens."""

    def __init__(self, total: int, done_before: int, *, quiet: bool = False) -> None:
        self.tally = ScreenTally(total, done=done_before, done_before=done_before)
        self._quiet = quiet

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def line(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def started(self, name: str, attempt: int) -> None:
        self.tally.running[name] = {"since": time.monotonic()}
        self.line(f"start {name}" + (f" (attempt {attempt})" if attempt > 1 else ""))

    def progress(self, name: str, fields: Doing) -> None:
        if name in self.tally.running:
            self.tally.running[name] = {**self.tally.running[name], **fields}

    def ended(self, outcome: JobOutcome, *, again_in_s: float | None) -> None:
        self.tally.ended(outcome, again=again_in_s is not None)
        cost = f" ${outcome.cost_usd:.4f}" if outcome.cost_usd is not None else ""
        took = f" {outcome.seconds:.1f} s" if outcome.seconds is not None else ""
        again = f"; again in {again_in_s:.0f} s" if again_in_s is not None else ""
        detail = f": {outcome.detail}" if outcome.kind != "finished" and outcome.detail else ""
        self.line(
            f"[{self.tally.done}/{self.tally.total}] {outcome.id} {outcome.reason}{took}{cost}{detail}{again}"
        )


class LiveBatchScreen(PlainScreen):
    """Bar, dollars, time left, outcomes with counts, and a line per running instance."""

    def __init__(self, total: int, done_before: int) -> None:
        super().__init__(total, done_before)
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(
            get_renderable=self._render, console=self._console, refresh_per_second=4, transient=False
        )

    def __enter__(self) -> LiveBatchScreen:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def started(self, name: str, attempt: int) -> None:
        self.tally.running[name] = {"since": time.monotonic()}

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        tally = self.tally
        eta = tally.eta_s
        head = Table.grid(padding=(0, 2))
        left = "-" if eta is None else f"{duration(eta)} left"
        dollars = f"${tally.cost:.4f}" + (f" (+{tally.unpriced} of unknown price)" if tally.unpriced else "")
        head.add_row(
            ProgressBar(total=max(1, tally.total), completed=tally.done, width=40),
            f"{tally.done}/{tally.total}",
            dollars,
            left,
        )
        outcomes = Text("  ".join(f"{reason} {count}" for reason, count in sorted(tally.reasons.items())))
        rows = Table.grid(padding=(0, 2))
        for name, fields in list(tally.running.items())[:24]:
            cost = fields.get("cost_usd")
            rows.add_row(
                name,
                f"{time.monotonic() - fields['since']:.0f} s",
                f"{fields.get('steps', 0)} steps",
                f"${cost:.4f}" if cost is not None else "",
                Text(str(fields.get("doing", ""))[:60]),
            )
        return Group(head, outcomes, rows)


def make_screen(total: int, done_before: int, *, quiet: bool) -> PlainScreen:
    """Live on a terminal; plain lines when not a terminal, with CI or TERM=dumb, or quiet."""
    plain = quiet or not sys.stderr.isatty() or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return PlainScreen(total, done_before, quiet=quiet) if plain else LiveBatchScreen(total, done_before)
