"""Space: whether the host's disk has room for what a sandbox writes.

A command that met a full disk of the host says nothing about the command: a patch that was cut short, a test
that could not write its cache. Limits of the sandbox itself are data; this is not.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..errors import SandboxError

_LEAST_BYTES = 1 << 20
"""Less is as good as none: larger writes have failed by then."""


def disk_is_full(directory: Path) -> bool:
    """Whether the file system of `directory` takes nothing more; False where there is no such directory."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    least = min(_LEAST_BYTES, found.f_blocks * found.f_frsize // 8)
    return found.f_bavail * found.f_frsize < least or bool(found.f_files and not found.f_favail)


def is_in_memory(path: Path) -> bool:
    """Whether what is written at `path` stays in memory (tmpfs)."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split(" ", 3)[2] == number:
            return rest.startswith(("tmpfs ", "ramfs "))
    return False


def require_space(directory: Path) -> None:
    """Raises: SandboxError, caused by ENOSPC, when the file system of `directory` is full."""
    if disk_is_full(directory):
        raise SandboxError(f"the disk of {directory} is full: free some space") from OSError(
            errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory)
        )
