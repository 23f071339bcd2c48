"""Files of records, one JSON line each: reading, writing, and telling what was lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ...tools.errors import RecordError
from .build import build_run, validated
from .invariants import check
from .log import opened
from .migrate import migrate
from .schema import Trajectory, json_schema

OnLoss = Callable[[str], None]


def dump(record: Trajectory) -> str:
    """One line of JSON without the newline; the same bytes for equal records."""
    return record.model_dump_json()


def load(line: str | bytes) -> Trajectory:
    """One checked record from its line; an older schema version is migrated first.
    Raises: RecordError naming the invariant, or `not JSON`."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from error
    record = validated(migrate(data))
    check(record)
    return record


def write_trajectories(path: Path, records: Iterable[Trajectory]) -> int:
    """Replace `path` by these records in one step; returns how many. `record.schema.json` goes beside it."""
    partial = path.with_name(path.name + ".part")
    count = 0
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for record in records:
                file.write(dump(record) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    path.with_name("record.schema.json").write_text(json_schema(), encoding="utf-8")
    return count


def read_trajectories(path: Path, *, on_loss: OnLoss | None = None) -> Iterator[Trajectory]:
    """The records of a file (plain or .gz), one in memory at a time. An unfinished last line (the writer was
    killed, the disk was full) is left out and named to `on_loss`.
    Raises: RecordError naming the line that is damaged elsewhere."""
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            whole = line.endswith(b"\n")
            if whole and not line.strip():
                continue
            try:
                yield load(line)
            except RecordError as error:
                if not whole and str(error).startswith("not JSON"):
                    if on_loss is not None:
                        on_loss(f"{path}: line {number} is cut off after {len(line)} bytes: 1 record lost")
                    return
                raise RecordError(f"{path}: line {number}: {error}") from error


def read_runs(path: Path, *, on_loss: OnLoss | None = None) -> Iterator[Trajectory]:
    """Every record at `path`: a file of records, a run directory (its events, else its trajectory.jsonl), or
    the directory of a batch (`instances/<id>/`, in order of id).
    Raises: RecordError when there is none."""
    if path.is_file():
        if path.name == "events.jsonl":
            yield _told(build_run(path.parent), on_loss)
        else:
            yield from read_trajectories(path, on_loss=on_loss)
    elif (path / "events.jsonl").exists():
        yield _told(build_run(path), on_loss)
    elif (path / "trajectory.jsonl").exists():
        yield from read_trajectories(path / "trajectory.jsonl", on_loss=on_loss)
    elif (path / "trajectories.jsonl").exists():
        yield from read_trajectories(path / "trajectories.jsonl", on_loss=on_loss)
    elif (path / "instances").is_dir():
        for item in sorted((path / "instances").iterdir()):
            if any((item / name).exists() for name in ("events.jsonl", "trajectory.jsonl")):
                yield from read_runs(item, on_loss=on_loss)
    else:
        raise RecordError(f"{path} is not a run: no events.jsonl, trajectory.jsonl or instances/ in it")


def _told(record: Trajectory, on_loss: OnLoss | None) -> Trajectory:
    for loss in record.losses:
        if on_loss is not None:
            on_loss(f"run {record.run_id}: {loss}")
    return record
