"""Locks: one builder at a time, across processes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...tools.errors import ProjectError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file lock `path`. Raises: ProjectError where the file system has no locks."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise ProjectError(f"{path} cannot be locked: {error}") from error
        yield
