"""Outputs: `preds.json`, `all_preds.jsonl` and `results.json`, all derived from the state."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from ..benchmarks.instance import Instance
from .job import JobOutcome
from .state import BatchState, save

_EVERY_S = 2.0


class _Known(TypedDict):
    repository: str
    status: str
    attempts: int


class InstanceRow(_Known, total=False):
    """An instance in `results.json`; the fields of its outcome are absent before it has one."""

    reason: str
    detail: str
    exit_code: int | None
    cost_usd: float | None
    tokens: int | None
    steps: int | None
    seconds: float | None
    flags: list[str]


class LeakAudit(TypedDict):
    audited: int
    flagged: int
    flags: dict[str, list[str]]


class Summary(TypedDict):
    """Sums are of what is known; null where nothing is."""

    instances: int
    finished: int
    by_status: dict[str, int]
    by_reason: dict[str, int]
    by_repository: dict[str, dict[str, int]]
    cost_usd: float | None
    cost_unknown: int
    """Finished instances whose cost is not known."""
    tokens: float | None
    steps: float | None
    seconds: float | None
    leak_audit: LeakAudit


class _Results(TypedDict):
    model_name_or_path: str
    instances: dict[str, InstanceRow]
    summary: Summary


class Results(_Results, total=False):
    """`results.json`."""

    evaluation: Mapping[str, object]


class Outputs:
    """Writes the outputs; at most every two seconds unless forced."""

    def __init__(self, state: BatchState, instances: Sequence[Instance], model: str) -> None:
        self._state = state
        self._instances = list(instances)
        self._model = model
        self._written = 0.0

    def write(self, *, force: bool = False) -> None:
        """Raises: DiskFullError; the files of before are then still there."""
        if not force and time.monotonic() - self._written < _EVERY_S:
            return
        predictions = self.predictions()
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in predictions.values())
        self._put("preds.json", json.dumps(predictions, indent=1, ensure_ascii=False) + "\n")
        self._put("all_preds.jsonl", lines)
        self._put("results.json", json.dumps(self.results(), indent=1, ensure_ascii=False) + "\n")
        self._written = time.monotonic()

    def predictions(self) -> dict[str, dict[str, str]]:
        """What the harness takes, by instance id, in the order of the ids: everything in this directory that
        is finished, those too that this call does not work on."""
        found: dict[str, dict[str, str]] = {}
        for name in self._state.finished:
            outcome = self._state.of(name).outcome
            patch = self._state.patch_of(name)
            if outcome is not None and patch is not None:
                found[name] = {
                    "instance_id": name,
                    "model_name_or_path": outcome.model or self._model,
                    "model_patch": patch,
                }
        return found

    def results(self, evaluation: Mapping[str, object] | None = None) -> Results:
        """Every instance and the summary. Costs and tokens are sums of what is known; how many are unknown
        is said."""
        rows: dict[str, InstanceRow] = {}
        for instance in self._instances:
            progress = self._state.of(instance.id)
            outcome = progress.outcome
            row: InstanceRow = {
                "repository": instance.repo,
                "status": status_of(outcome, running=progress.running),
                "attempts": progress.attempts,
            }
            if outcome is not None:
                row.update(
                    {
                        "reason": outcome.reason,
                        "detail": outcome.detail,
                        "exit_code": outcome.exit_code,
                        "cost_usd": outcome.cost_usd,
                        "tokens": outcome.tokens,
                        "steps": outcome.steps,
                        "seconds": outcome.seconds,
                        "flags": list(outcome.flags),
                    }
                )
            rows[instance.id] = row
        results: Results = {
            "model_name_or_path": self._model,
            "instances": rows,
            "summary": summary_of(self._instances, rows),
        }
        if evaluation is not None:
            results["evaluation"] = evaluation
        return results

    def put_evaluation(self, evaluation: Mapping[str, object]) -> None:
        """results.json again, with the verdicts."""
        self._put("results.json", json.dumps(self.results(evaluation), indent=1, ensure_ascii=False) + "\n")

    def _put(self, name: str, text: str) -> None:
        save(self._state.directory / name, text.encode("utf-8", "surrogateescape"))


def status_of(outcome: JobOutcome | None, *, running: bool) -> str:
    if running or outcome is None:
        return "unfinished"
    return outcome.kind


def summary_of(instances: Sequence[Instance], rows: Mapping[str, InstanceRow]) -> Summary:
    """Counts by reason and repository; sums of cost, tokens and time; the leak audit."""
    by_repository: dict[str, Counter[str]] = {}
    for instance in instances:
        row = rows[instance.id]
        by_repository.setdefault(instance.repo, Counter())[row.get("reason") or "not_started"] += 1
    ended = [row for row in rows.values() if row["status"] == "finished"]
    flags = {name: found for name, row in rows.items() if (found := row.get("flags"))}

    def total(key: Literal["cost_usd", "tokens", "steps", "seconds"]) -> float | int | None:
        known = [part for row in rows.values() if (part := row.get(key)) is not None]
        return round(sum(known), 6) if known else None

    return {
        "instances": len(rows),
        "finished": len(ended),
        "by_status": dict(Counter(row["status"] for row in rows.values())),
        "by_reason": dict(Counter(row.get("reason") or "not_started" for row in rows.values())),
        "by_repository": {name: dict(counts) for name, counts in sorted(by_repository.items())},
        "cost_usd": total("cost_usd"),
        "cost_unknown": sum(row.get("cost_usd") is None for row in ended),
        "tokens": total("tokens"),
        "steps": total("steps"),
        "seconds": total("seconds"),
        "leak_audit": {"audited": len(ended), "flagged": len(flags), "flags": flags},
    }
