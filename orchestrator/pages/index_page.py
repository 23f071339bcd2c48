"""index_page: every run and batch under a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import UsageError
from ...tools.files import is_held
from ..report.run_list import RunLine, describe
from ..solving.run_directory import RunDirectory
from .template import render

DEPTH = 3
"""Folders below the one that is looked through."""


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A batch in the index."""

    link: str
    name: str
    dataset: str
    model: str
    instances: int
    finished: int
    resolved: int | None
    """None before it is graded."""
    cost_usd: float | None
    running: bool


def index_page(root: Path, *, live_s: float | None = None) -> bytes:
    """Newest runs first; links are paths from `root`."""
    runs: list[tuple[str, RunLine]] = []
    batches: list[BatchLine] = []
    for path in places(root):
        link = path.relative_to(root).as_posix()
        if is_batch(path):
            batches.append(_batch_line(path, link))
        else:
            runs.append((link, describe(RunDirectory(path))))
    runs.sort(key=lambda item: item[1].begun, reverse=True)
    return render("index", root=str(root), runs=runs, batches=batches, live_s=live_s)


def is_batch(path: Path) -> bool:
    return (path / "batch.json").is_file()


def is_run(path: Path) -> bool:
    return (path / "run.json").is_file()


def places(root: Path) -> Iterator[Path]:
    """Runs and batches under `root`, itself included; nothing is looked for inside one."""
    queue = [(root, 0)]
    while queue:
        path, depth = queue.pop()
        if is_batch(path) or is_run(path):
            yield path
        elif depth < DEPTH:
            try:
                with os.scandir(path) as entries:
                    below = sorted(item.path for item in entries if item.is_dir(follow_symlinks=False))
            except OSError:
                continue
            queue += [(Path(item), depth + 1) for item in below]


def _batch_line(path: Path, link: str) -> BatchLine:
    """From results.json, which is at most seconds behind: the index stays cheap for large batches."""
    try:
        batch = json.loads((path / "batch.json").read_text("utf-8"))
        settings = batch["settings"]
        dataset, model = str(batch.get("dataset", "")), str(settings.get("name") or settings["model"])
        count = len(batch["instances"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} holds no batch that can be read: {error}") from error
    try:
        results = json.loads((path / "results.json").read_text("utf-8"))
        summary, evaluation = results["summary"], results.get("evaluation") or {}
        finished, cost = int(summary["finished"]), summary["cost_usd"]
        resolved = evaluation.get("resolved_instances")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        finished, cost, resolved = 0, None, None
    return BatchLine(
        link, path.name, dataset, model, count, finished, resolved, cost, is_held(path / ".lock")
    )
