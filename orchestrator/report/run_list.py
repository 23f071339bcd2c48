"""What `runs list` and `runs diff` say of runs, read off their run.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ...tools.errors import UsageError
from ...tools.excerpt import printable
from ...tools.files import is_held
from ..request import LISTED, SolveRequest, SolveResult
from ..solving.run_directory import RunDirectory
from .screen import dollars


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run. None is "not known", never zero."""

    name: str
    path: str
    begun: str
    """UTC, `2026-01-31 14:05`."""
    repository: str
    model: str
    outcome: str
    """verified, not_verified, no_patch, limit; or running, interrupted, failed."""
    status: str
    seconds: float | None = None
    cost_usd: float | None = None
    exit_code: int | None = None

    def shown(self, columns: int | None = None) -> str:
        """A line; where it has no place in so many columns the name stands below."""
        took = "-" if self.seconds is None else f"{self.seconds:.0f} s"
        cost = "-" if self.cost_usd is None else dollars(self.cost_usd)
        facts = f"{self.begun}  {self.outcome:<12} {took:>7} {cost:>9}  "
        whole = printable(f"{facts}{self.repository[:20]:<20} {self.model[:24]:<24} {self.name}")
        if columns is None or len(whole) <= columns:
            return whole
        above = printable(f"{facts}{self.repository[:20]}  {self.model}")
        return f"{above[:columns]}\n    {printable(self.name)}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe(run: RunDirectory) -> RunLine:
    """One run. A damaged run.json is a line that says so, never an error for the other runs."""
    begun = datetime.fromtimestamp((run.path / "run.json").stat().st_mtime, UTC)
    try:
        summary = run.read()
        request = SolveRequest.from_json(summary["request"])
        result = SolveResult.from_json(summary["result"]) if summary.get("result") else None
    except (UsageError, KeyError, TypeError) as error:
        return RunLine(
            run.path.name, str(run.path), f"{begun:%Y-%m-%d %H:%M}", "?", "?", "failed", str(error)
        )
    if run.events.exists():
        begun = datetime.fromtimestamp(_first_time(run) or begun.timestamp(), UTC)
    status = str(summary.get("status", ""))
    if status == "running" and not is_held(run.lock):
        status = "interrupted"  # its process was killed
    return RunLine(
        run.path.name,
        str(run.path),
        f"{begun:%Y-%m-%d %H:%M}",
        (request.issue.repository or str(request.repository))
        .rstrip("/")
        .rpartition("/")[2]
        .removesuffix(".git"),
        request.model,
        result.ending if result else status if status in ("running", "interrupted") else "failed",
        status,
        result.totals.get("wall_s") if result else None,
        result.totals.get("cost_usd") if result else None,
        int(result.exit_code) if result else None,
    )


def _first_time(run: RunDirectory) -> float | None:
    with run.events.open("rb") as file:
        try:
            return float(json.loads(file.readline())["at"])
        except (ValueError, KeyError, TypeError):
            return None


def compare(first: RunDirectory, second: RunDirectory) -> list[tuple[str, str, str]]:
    """(what, of the first, of the second): outcome, model, tests, seconds, cost, size of the patch."""
    rows: list[tuple[str, str, str]] = []
    a, b = describe(first), describe(second)
    for name in ("repository", "model", "outcome", "exit_code", "seconds", "cost_usd"):
        rows.append((name.replace("_", " "), _said(getattr(a, name)), _said(getattr(b, name))))
    results: list[Mapping[str, Any]] = [run.read().get("result") or {} for run in (first, second)]
    for name in LISTED:
        counts = [_said(len(result[name]) if name in result else None) for result in results]
        rows.append((name.replace("_", " "), counts[0], counts[1]))
    lines = [run.read_patch().count("\n") for run in (first, second)]
    rows.append(("lines of patch", str(lines[0]), str(lines[1])))
    return rows


def _said(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else printable(str(value))
