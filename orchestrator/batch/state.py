"""State: the append-only `state.jsonl` of a batch, from which everything else is derived.

A line is on disk before the next step is taken. A torn last line (killed, disk full) is cut off; patches
lie in files of their own, written and synced before the line that speaks of them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tools.errors import SweAgentError, UsageError
from ...tools.files import hold, write_atomically
from .job import JobOutcome


class DiskFullError(SweAgentError):
    """No space is left for the state of the batch; nothing that was written before is lost."""


@dataclass(slots=True)
class Progress:
    """Where one instance stands."""

    attempts: int = 0
    """Attempts since it was last put back to the start."""
    running: bool = False
    """Started and not heard of since: the process was killed."""
    outcome: JobOutcome | None = None
    """The last one."""
    patch_sha256: str | None = None
    """Of the prediction, when it is finished."""

    @property
    def finished(self) -> bool:
        return self.outcome is not None and self.outcome.kind == "finished"


class BatchState:
    """Single writer of a batch's directory."""

    def __init__(self, directory: Path) -> None:
        """Raises: UsageError when another process works on the directory or its state is damaged;
        DiskFullError."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = hold(directory / ".lock")
        except OSError as error:
            raise _disk_or(error, UsageError(f"cannot write to {directory}: {error.strerror}")) from error
        if lock is None:
            raise UsageError(
                f"another batch is working on {directory}: wait for it, or name another --output"
            )
        self._lock = lock
        self.directory = directory
        self.progress: dict[str, Progress] = {}
        self._path = directory / "state.jsonl"
        self._end = 0
        try:
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
            self._end = read_progress(self._path, self.progress)
            self._file.truncate(self._end)
        except OSError as error:
            raise _disk_or(error, UsageError(f"{self._path} cannot be used: {error.strerror}")) from error
        for name, progress in self.progress.items():
            if progress.finished and not self._holds(name, progress):
                # a prediction that is gone is no prediction: the instance is taken up again
                progress.outcome = JobOutcome(
                    name, "infrastructure", "prediction_lost", "its patch is gone or damaged"
                )

    def _holds(self, name: str, progress: Progress) -> bool:
        try:
            data = (self.instance_directory(name) / "prediction.diff").read_bytes()
        except OSError:
            return False
        return progress.patch_sha256 in (None, hashlib.sha256(data).hexdigest())

    def instance_directory(self, name: str) -> Path:
        return self.directory / "instances" / name

    def of(self, name: str) -> Progress:
        return self.progress.setdefault(name, Progress())

    def started(self, name: str) -> int:
        """Returns the number of the attempt."""
        attempt = self.of(name).attempts + 1
        self._append({"event": "started", "id": name, "attempt": attempt})
        return attempt

    def ended(self, outcome: JobOutcome) -> None:
        """Keep an outcome; the patch of a finished one first. Raises: DiskFullError."""
        fields = outcome.to_json()
        patch = fields.pop("patch")
        if outcome.kind == "finished":
            data = patch.encode("utf-8", "surrogateescape")
            save(self.instance_directory(outcome.id) / "prediction.diff", data)
            fields["patch_sha256"] = hashlib.sha256(data).hexdigest()
        self._append({"event": "ended", **fields})

    def put_back(self, name: str) -> None:
        """Forget what came of an instance; its files are set aside, not deleted."""
        home = self.instance_directory(name)
        if home.exists():
            number = 1
            while (target := home.with_name(f".{name}.{number}")).exists():
                number += 1
            home.replace(target)
        self._append({"event": "redo", "id": name})

    @property
    def finished(self) -> list[str]:
        """Every instance of this directory that has a prediction, sorted."""
        return sorted(name for name, progress in self.progress.items() if progress.finished)

    def patch_of(self, name: str) -> str | None:
        """The prediction of a finished instance; None when its file is gone."""
        try:
            return (
                (self.instance_directory(name) / "prediction.diff")
                .read_bytes()
                .decode("utf-8", "surrogateescape")
            )
        except OSError:
            return None

    def close(self) -> None:
        self._file.close()
        self._lock.release()

    def _append(self, event: Mapping[str, object]) -> None:
        line = json.dumps({"at": round(time.time(), 3), **event}, ensure_ascii=False).encode(
            "utf-8", "backslashreplace"
        )
        try:
            self._file.seek(self._end)
            if self._file.write(line + b"\n") != len(line) + 1:
                raise OSError(errno.ENOSPC, "the line was written in part")
            os.fdatasync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):  # a torn line must not precede a later one
                os.ftruncate(self._file.fileno(), self._end)
            raise _disk_or(error, error) from error
        self._end += len(line) + 1
        fold(self.progress, event)


def read_progress(path: Path, progress: dict[str, Progress]) -> int:
    """Fold what a state.jsonl holds into `progress`; returns where its last whole line ends.
    Raises: UsageError naming the line that is damaged; OSError."""
    end = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break
            try:
                fold(progress, json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UsageError(
                    f"{path}: line {number} is damaged ({error}): remove that line and run the "
                    "command again; only what it said is forgotten"
                ) from error
            end += len(line)
    return end


def fold(progress: dict[str, Progress], event: Mapping[str, Any]) -> None:
    """Take in one line. Raises: KeyError, TypeError, ValueError for what is none."""
    fields = {key: value for key, value in event.items() if key not in ("at", "event")}
    name: str = fields["id"]
    match event["event"]:
        case "started":
            state = progress.setdefault(name, Progress())
            state.attempts, state.running = int(fields["attempt"]), True
        case "ended":
            digest, outcome = fields.pop("patch_sha256", None), JobOutcome.from_json(fields)
            state = progress.setdefault(name, Progress())
            state.running, state.outcome, state.patch_sha256 = False, outcome, digest
        case "redo":
            progress[name] = Progress()
        case unknown:
            raise ValueError(f"event {unknown!r}")


def save(path: Path, data: bytes) -> None:
    """Replace a file of the batch, on the disk when this returns. Raises: DiskFullError; OSError."""
    try:
        write_atomically(path, data, durable=True)
    except OSError as error:
        raise _disk_or(error, error) from error


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` or what caused it is a full disk or quota."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen = seen.__cause__ or seen.__context__
    return isinstance(error, DiskFullError)


def _disk_or(error: OSError, other: Exception) -> Exception:
    if is_disk_full(error):
        return DiskFullError(
            "the disk is full: free some space and run the same command again; nothing is lost"
        )
    return other
