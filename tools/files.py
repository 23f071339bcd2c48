"""Files of ours on the host: written whole or not at all, and locked between processes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


def reason_of(error: Exception) -> str:
    """Why it failed, for a line that names the file itself: without number and file name."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the system in here names `path`: a write to an open file does not say which."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_atomically(path: Path, data: bytes | str, *, durable: bool = False) -> None:
    """Replace `path`, making its folder: a killed process or a full disk leaves the old or the new file.

    Text is UTF-8, lone surrogates being the bytes they stand for. `durable` waits for the disk.
    Raises: OSError; no draft is left behind.
    """
    content = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with naming(path), draft.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def hold(path: Path) -> BaseFileLock | None:
    """Take the lock at `path` for as long as the process or until it is released; None when another has it.
    Raises: OSError where it cannot be written."""
    from filelock import FileLock, Timeout

    taken = FileLock(path, thread_local=False)
    try:
        taken.acquire(timeout=0)
    except Timeout:
        return None
    return taken


def read_below(root: Path, path: str, max_bytes: int) -> bytes | None:
    """A file below `root`, whose contents others write: no link is followed, nothing but a file is opened."""
    try:
        held = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        *folders, name = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in (*folders, name):
            return None
        for part in folders:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held)
            os.close(held)
            held = below
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=held), "rb") as file:
            return file.read(max_bytes) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(held)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock at `path`, without touching it; True where that cannot be known."""
    try:
        inode = path.stat().st_ino
    except FileNotFoundError:
        return False
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return True
    return any(f":{inode}" in line and line.partition(f":{inode}")[2][:1] == " " for line in lines)


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock at `path`; `on_wait` is called once when another has it. Raises: OSError."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    mine = FileLock(path, thread_local=False)
    try:
        mine.acquire(timeout=0)
    except Timeout:
        on_wait()
        mine.acquire(poll_interval=0.2)
    try:
        yield
    finally:
        mine.release()
