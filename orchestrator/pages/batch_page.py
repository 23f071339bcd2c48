"""batch_page: a page about one batch, from its state, and how it compares with another."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ...tools.files import is_held
from ..batch.state import Progress, read_progress
from ..grading.report import read_verdicts
from ..grading.statistics import Paired, compare_paired
from .template import render


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One instance. None is "not known"."""

    id: str
    repository: str
    outcome: str
    verdict: str
    """resolved, unresolved, or "" before it is graded."""
    detail: str
    attempts: int
    steps: int | None
    seconds: float | None
    cost_usd: float | None
    flags: tuple[str, ...]
    link: str | None
    """Where its run is, from the page."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two batches over the instances that both judged."""

    name: str
    basis: str
    paired: Paired
    costs: tuple[float | None, float | None]

    @property
    def rates(self) -> tuple[float | None, float | None]:
        result = self.paired.to_json()
        return result["rate_a"], result["rate_b"]  # type: ignore[return-value]  # numbers, by its contract


@dataclass(slots=True)
class BatchView:
    """What the page shows of a batch."""

    path: Path
    dataset: str
    model: str
    alive: bool
    rows: list[BatchRow] = field(default_factory=list[BatchRow])
    unreadable: str = ""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def finished(self) -> int:
        return sum(row.outcome not in ("in work", "interrupted", "not started") for row in self.rows)

    @property
    def graded(self) -> int:
        return sum(bool(row.verdict) for row in self.rows)

    @property
    def resolved(self) -> int | None:
        """None before anything is graded."""
        return sum(row.verdict == "resolved" for row in self.rows) if self.graded else None

    @property
    def cost_usd(self) -> float | None:
        """Of the instances whose cost is known; None where none is."""
        known = [row.cost_usd for row in self.rows if row.cost_usd is not None]
        return sum(known) if known else None

    @property
    def unpriced(self) -> int:
        return sum(
            row.cost_usd is None and row.outcome not in ("in work", "not started") for row in self.rows
        )

    @property
    def outcomes(self) -> list[tuple[str, int]]:
        return Counter(row.outcome for row in self.rows).most_common()

    @property
    def flagged(self) -> list[BatchRow]:
        return [row for row in self.rows if row.flags]

    def by_repository(self) -> list[tuple[str, Counter[str]]]:
        found: dict[str, Counter[str]] = {}
        for row in self.rows:
            counts = found.setdefault(row.repository or "?", Counter())
            counts[row.outcome] += 1
            counts["resolved"] += row.verdict == "resolved"
        return sorted(found.items())


def collect_batch(directory: Path, *, served: bool = False) -> BatchView:
    """What there is to show of a batch, whether it runs or not. With `served`, runs are linked to as the
    server names them. Raises: UsageError when it is no batch."""
    try:
        batch = json.loads((directory / "batch.json").read_text("utf-8"))
        names = [str(name) for name in batch["instances"]]
        settings = batch["settings"]
        view = BatchView(
            directory, str(batch.get("dataset", "")), str(settings.get("name") or settings["model"]),
            is_held(directory / ".lock"),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{directory} holds no batch that can be read: {error}") from error
    progress: dict[str, Progress] = {}
    try:
        read_progress(directory / "state.jsonl", progress)
    except FileNotFoundError:
        pass
    except UsageError as error:
        view.unreadable = str(error)
    known, verdicts = _results(directory), _verdicts(directory)
    for name in names:
        state = progress.get(name, Progress())
        fields = known.get(name)
        repository = str(fields.get("repository", "")) if isinstance(fields, dict) else ""
        view.rows.append(_row(view, name, repository, state, verdicts.get(name), served))
    return view


def _row(
    view: BatchView, name: str, repository: str, state: Progress, verdict: bool | None, served: bool
) -> BatchRow:
    outcome = state.outcome
    if state.running:
        said = "in work" if view.alive else "interrupted"
    else:
        said = outcome.reason if outcome else "not started"
    # a name that is no plain folder leads nowhere
    place = view.path / "instances" / name if Path(name).name == name else None
    link = None
    if place is not None and (place / "run.json").exists():
        link = f"instances/{name}" if served else f"instances/{name}/report.html"
    return BatchRow(
        name,
        repository or name.rpartition("-")[0].replace("__", "/"),
        said,
        "" if verdict is None else "resolved" if verdict else "unresolved",
        outcome.detail if outcome else "",
        state.attempts,
        outcome.steps if outcome else None,
        outcome.seconds if outcome else None,
        outcome.cost_usd if outcome else None,
        outcome.flags if outcome else (),
        link,
    )


def _results(directory: Path) -> Mapping[str, Any]:
    try:
        return dict(json.loads((directory / "results.json").read_text("utf-8"))["instances"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _verdicts(directory: Path) -> Mapping[str, bool]:
    try:
        return read_verdicts(str(directory / "evaluation"))
    except UsageError:
        return {}


def compare(first: BatchView, second: BatchView) -> Comparison:
    """By the grader's verdicts where both are graded, else by their own checks, which say less."""
    graded = bool(first.graded and second.graded)
    flags = [
        {
            row.id: row.verdict == "resolved" if graded else row.outcome == "verified"
            for row in view.rows
            if (row.verdict if graded else row.outcome not in ("in work", "interrupted", "not started"))
        }
        for view in (first, second)
    ]
    basis = "resolved, as graded" if graded else "verified by their own checks (not both are graded)"
    return Comparison(
        second.name, basis, compare_paired(flags[0], flags[1]), (first.cost_usd, second.cost_usd)
    )


def batch_page(
    view: BatchView,
    other: BatchView | None = None,
    *,
    others: Mapping[str, str] | None = None,
    live_s: float | None = None,
    home: str | None = None,
) -> bytes:
    """The page of a batch. `others`: what it can be compared with, address → name."""
    return render(
        "batch",
        view=view,
        other=compare(view, other) if other else None,
        others=others or {},
        home=home,
        live_s=live_s if view.alive else None,
    )
