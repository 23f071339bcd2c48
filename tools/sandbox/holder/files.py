"""Reading and writing single files as a command would: same view, same permissions."""

from __future__ import annotations

import errno
import os
import stat

from . import kernel

_CHUNK = 1 << 20


class Unprivileged:
    """A block in which the holder has no more rights over files than a command."""

    def __init__(self, permitted: int) -> None:
        self._permitted = permitted

    def __enter__(self) -> None:
        kernel.set_capabilities(0, self._permitted)

    def __exit__(self, *_: object) -> None:
        kernel.set_capabilities(self._permitted, self._permitted)


def open_to_read(path: str) -> int:
    """A descriptor of the regular file at `path`. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _require_regular(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_file(path: str, source: int, size: int, file_bytes: int | None) -> None:
    """Replace the contents of `path` with `size` bytes of `source`. Raises: OSError."""
    if file_bytes is not None and size > file_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
    os.makedirs(os.path.dirname(path) or "/", exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags, 0o644)
    try:
        _require_regular(descriptor, path)
        os.ftruncate(descriptor, 0)
        offset = 0
        while offset < size:
            offset += os.sendfile(descriptor, source, offset, min(_CHUNK, size - offset))
    finally:
        os.close(descriptor)


def _require_regular(descriptor: int, path: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise PermissionError(errno.EACCES, "not a regular file", path)
