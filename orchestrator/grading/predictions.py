"""Predictions: what a run answers, as the harness takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ..benchmarks.instance import Instance
from ..benchmarks.sealed import grading

BUILT_IN = ("gold", "empty", "oracle", "noop")
_GOLD, _EMPTY = ("gold", "oracle"), ("empty", "noop")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer. `patch` is a unified diff, or empty."""

    instance_id: str
    patch: str
    model: str
    probe: bool = False
    """Run although the patch is empty: the built-in `empty` (nothing must not resolve the instance), and
    `gold` where the solution is a script. An empty answer of a model is never run."""
    agent: str = "noop"
    """Who acts when a probe is run: `noop` does nothing, `oracle` runs the solution that the task ships."""

    @property
    def is_empty(self) -> bool:
        return not self.patch.strip()

    def to_json(self) -> dict[str, str]:
        """The harness's fields."""
        return {"instance_id": self.instance_id, "model_name_or_path": self.model, "model_patch": self.patch}


def load_predictions(source: str, instances: Sequence[Instance]) -> dict[str, Prediction]:
    """Predictions by instance id: `gold` (or `oracle`) and `empty` (or `noop`) are built in; else a .json (list, or object by id),
    a .jsonl, or a run directory with preds.json. Raises: UsageError."""
    if source in _GOLD:
        with grading():
            return {item.id: _gold(item, source) for item in instances}
    if source in _EMPTY:
        return {item.id: Prediction(item.id, "", source, probe=True) for item in instances}
    path = Path(source).expanduser()
    if path.is_dir():
        path = path / "preds.json"
    try:
        text = path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(
            f"no predictions at {source}: name gold, empty, a .json or .jsonl file, or a run"
        ) from error
    return {item.instance_id: item for item in parse_predictions(text, str(path))}


def _gold(instance: Instance, source: str) -> Prediction:
    if instance.judge == "harbor":
        return Prediction(instance.id, "", source, probe=True, agent="oracle")
    return Prediction(instance.id, instance.evaluation.open().patch, source)


def parse_predictions(text: str, where: str) -> list[Prediction]:
    """Raises: UsageError naming the entry that is malformed or given twice."""
    try:
        loaded: Any = json.loads(text)
    except ValueError:
        try:
            # not splitlines: a patch may hold what Unicode calls a line separator
            loaded = [json.loads(line) for line in text.split("\n") if line.strip()]
        except ValueError as error:
            raise UsageError(f"{where} is neither JSON nor JSON lines: {error}") from error
    if isinstance(loaded, dict):
        rows: Iterable[Any] = (
            [loaded]
            if "instance_id" in loaded
            else [
                {"instance_id": name, **row} if isinstance(row, dict) else row for name, row in loaded.items()
            ]
        )
    elif isinstance(loaded, list):
        rows = loaded
    else:
        raise UsageError(f"{where} holds no predictions")
    found: dict[str, Prediction] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping) or not isinstance(row.get("instance_id"), str):
            raise UsageError(f"{where}: prediction {number} has no instance_id")
        patch = row.get("model_patch")
        if patch is not None and not isinstance(patch, str):
            raise UsageError(f"{where}: model_patch of {row['instance_id']} is not text")
        if row["instance_id"] in found:
            raise UsageError(f"{where} holds {row['instance_id']} twice")
        found[row["instance_id"]] = Prediction(
            row["instance_id"], patch or "", str(row.get("model_name_or_path") or "unknown")
        )
    if not found:
        raise UsageError(f"{where} holds no predictions")
    return list(found.values())
