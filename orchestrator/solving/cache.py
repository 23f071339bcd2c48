"""The cache on disk: which environments lie there, whole or not, and how they go."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from .run_directory import cache_root

_MARKERS = ("environment.json", "layer.json", "ready.json")
"""Written last by a build; what has none was not finished."""
_DEPTH = 4

State = Literal["whole", "unfinished", "shared"]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One folder of the cache. `shared` holds packages and programs that many environments use."""

    name: str
    """Path below the cache."""
    bytes: int
    """Disk blocks; a file that is linked to several times counts once."""
    idle_days: float
    state: State

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def entries(folder: Path | None = None) -> list[CacheEntry]:
    """What lies in the cache, the largest last."""
    root = (folder or cache_root()).absolute()
    seen: set[tuple[int, int]] = set()
    locked = sorted(_locked_folders(root))
    found = [_entry(root, path, _state(path), seen) for path in locked]
    tops = [path for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []
    plain = [top for top in tops if not any(path.is_relative_to(top) for path in locked)]
    found += [_entry(root, path, "shared", seen) for path in plain]
    return sorted(found, key=lambda entry: entry.bytes)


def clean(
    folder: Path | None = None, *, older_than: float | None = None, dry_run: bool = False
) -> list[CacheEntry]:
    """Remove what is unfinished, and what was idle for `older_than` days. Returns what went. An entry whose
    lock is held is being built, and stays."""
    root = (folder or cache_root()).absolute()
    gone: list[CacheEntry] = []
    for entry in entries(folder):
        path = root / entry.name
        if entry.state != "unfinished" and (older_than is None or entry.idle_days < older_than):
            continue
        with _held(path) as free:
            if not free:
                continue
            gone.append(entry)
            if not dry_run:
                shutil.rmtree(path, ignore_errors=True)
    return gone


def _locked_folders(root: Path) -> Iterator[Path]:
    """Folders beside a lock of their name, not below another such folder."""
    pending = [(root, 0)]
    while pending:
        directory, depth = pending.pop()
        try:
            children = [
                Path(item.path) for item in os.scandir(directory) if item.is_dir(follow_symlinks=False)
            ]
        except OSError:
            continue
        for child in children:
            if _lock_of(child):
                yield child
            elif depth < _DEPTH:
                pending.append((child, depth + 1))


def _lock_of(path: Path) -> Path | None:
    named = (path.with_name(path.name + ".lock"), path.with_suffix(".lock"))
    return next((lock for lock in named if lock.is_file()), None)


def _state(path: Path) -> State:
    return "whole" if any((path / name).is_file() for name in _MARKERS) else "unfinished"


def _entry(root: Path, path: Path, state: State, seen: set[tuple[int, int]]) -> CacheEntry:
    total, pending = 0, [path]
    while pending:
        try:
            children = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for item in children:
            try:
                status = item.stat(follow_symlinks=False)
            except OSError:
                continue
            if item.is_dir(follow_symlinks=False):
                pending.append(Path(item.path))
            elif (key := (status.st_dev, status.st_ino)) in seen:
                continue
            elif status.st_nlink > 1:
                seen.add(key)
            total += status.st_blocks * 512
    # a build's marker is read by each use; the folder's own time of access is that of this listing
    marks = [(path / name).stat() for name in _MARKERS if (path / name).exists()]
    used = max([path.stat().st_mtime, *(max(mark.st_atime, mark.st_mtime) for mark in marks)])
    return CacheEntry(
        str(path.relative_to(root)), total, round(max(0.0, time.time() - used) / 86400, 2), state
    )


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold the lock of an entry while it goes; False when somebody else does."""
    lock = _lock_of(path)
    if lock is None:
        yield True
        return
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
