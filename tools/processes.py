"""Processes of this one: what it started, directly or not."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def kill_descendants() -> None:
    """Kill every process below this one. For the end of a process whose threads may be waiting for builds and
    tests. Stopped first, none can start another while the rest is killed."""
    for _ in range(5):
        below = descendants(os.getpid())
        if not below:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in below:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """Living processes below `pid`, parents before children; [] where /proc does not tell."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    pending = [pid]
    while pending:
        below = children.get(pending.pop(0), [])
        found += below
        pending += below
    return found
