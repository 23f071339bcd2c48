"""EventLog: the append-only source of truth of a run (`events.jsonl`).

One JSON object per line: `{"seq": int, "at": unix seconds, "type": str, ...fields}`, fsynced before
`append` returns, so that whatever was paid for is on disk. Everything else (record, report, preds,
resume, replay) derives from it. A torn last line (the process was killed) is dropped on reading.
A long log is rotated: whole segments become `events.0001.jsonl.gz`, `events.0002.jsonl.gz`, ... beside
it, compressed off the writing thread, and `read_events` reads them first.

`events.py` holds the vocabulary and `recorder.Recorder` writes it. An event that is said again by a resumed
run (same message id, same call) counts once.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ...tools.errors import RecordError
from ...tools.files import naming
from .event import JsonObject

ROTATE_BYTES = 64 << 20


class EventLog:
    """Single writer of one `events.jsonl`; `append` may be called from several threads.
    Cost of an event: its own bytes and one fdatasync, whatever the length of the log."""

    def __init__(self, path: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        """Open for appending; an existing log is continued after its last whole line.
        Raises: RecordError when the file is damaged before its last line."""
        self.path = path
        self._rotate_bytes = rotate_bytes
        self._lock = threading.Lock()
        self._packer: threading.Thread | None = None
        self._seq = 0
        end = 0
        if path.exists():
            for event, after in _scan(path):
                self._seq, end = event["seq"] + 1, after
        closed = segments(path)
        self._segment = len(closed)
        if not self._seq and closed:
            for event, _ in _scan(closed[-1]):
                self._seq = event["seq"] + 1
        self._file = path.open("ab")
        self._file.truncate(end)
        self._size = end
        leftover = [segment for segment in closed if segment.suffix != ".gz"]
        if leftover:
            self._pack(leftover)

    def append(self, type: str, /, **fields: Any) -> int:
        """Write one event and return its `seq`. On disk when this returns."""
        with self._lock:
            seq = self._seq
            event = {"seq": seq, "at": round(time.time(), 3), "type": type, **fields}
            text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            line = text.encode("utf-8", "backslashreplace") + b"\n"
            with naming(self.path):
                self._file.write(line)
                self._file.flush()
                os.fdatasync(self._file.fileno())
            self._seq = seq + 1
            self._size += len(line)
            if self._size >= self._rotate_bytes:
                self._rotate()
            return seq

    def close(self) -> None:
        self._file.close()
        if self._packer is not None:
            self._packer.join()

    def _rotate(self) -> None:
        self._file.close()
        self._segment += 1
        closed = self.path.with_name(f"{self.path.stem}.{self._segment:04d}{self.path.suffix}")
        self.path.rename(closed)
        self._file = self.path.open("ab")
        self._size = 0
        self._pack([closed])

    def _pack(self, closed: list[Path]) -> None:
        before = self._packer

        def run() -> None:
            if before is not None:
                before.join()
            for segment in closed:
                _compress(segment)

        self._packer = threading.Thread(target=run, name="event-log-rotation", daemon=True)
        self._packer.start()


def segments(path: Path) -> list[Path]:
    """Rotated segments of the log at `path`, oldest first (without the current file)."""
    name = re.compile(re.escape(path.stem) + r"\.(\d{4,})" + re.escape(path.suffix) + r"(\.gz)?")
    found: dict[int, Path] = {}
    if path.parent.is_dir():
        for item in path.parent.iterdir():
            match = name.fullmatch(item.name)
            if match and (match[2] or int(match[1]) not in found):
                found[int(match[1])] = item
    return [found[number] for number in sorted(found)]


def read_events(path: Path) -> Iterator[JsonObject]:
    """The whole events of a log, in order. Raises: RecordError naming the line that is damaged."""
    expected = 0
    for part in (*segments(path), path):
        if part.exists():
            for number, (event, _) in enumerate(_scan(part), 1):
                if event["seq"] != expected:
                    raise RecordError(
                        f"{part}: line {number} holds event {event['seq']} where event {expected} belongs: lines were "
                        "lost, repeated or exchanged"
                    )
                expected += 1
                yield event


def torn_bytes(path: Path) -> int:
    """Bytes of the unfinished last line that reading drops; 0 for a whole log."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail, at = b"", size
        while at > 0 and b"\n" not in tail:
            step = min(1 << 16, at)
            at -= step
            file.seek(at)
            tail = file.read(step)
        return size - (at + tail.rfind(b"\n") + 1) if b"\n" in tail else size


def _scan(path: Path) -> Iterator[tuple[JsonObject, int]]:
    end = 0
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RecordError(f"{path}: line {number} is not JSON: {error}") from error
            if not isinstance(event, dict) or "seq" not in event or "type" not in event:
                raise RecordError(f"{path}: line {number} is not an event (an object with seq and type)")
            end += len(line)
            yield event, end


def opened(path: Path) -> IO[bytes]:
    """A file for reading, unzipped on the way when its name says so."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _compress(segment: Path) -> None:
    """Replace a closed segment by its gzip; whatever moment the process dies at, one of the two is whole."""
    packed = segment.with_name(segment.name + ".gz")
    partial = segment.with_name(segment.name + ".gz.part")
    with segment.open("rb") as source, partial.open("wb") as target:
        with gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=4, mtime=0) as zipped:
            shutil.copyfileobj(source, zipped, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    partial.rename(packed)
    segment.unlink()
