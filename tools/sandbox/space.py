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


def require_space(directory: Path) -> None:
    """Raises: SandboxError, caused by ENOSPC, when the file system of `directory` is full."""
    if disk_is_full(directory):
        raise SandboxError(f"the disk of {directory} is full: free some space") from OSError(
            errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory)
        )
