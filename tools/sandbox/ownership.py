"""Ownership: the mark in each scratch directory that says which process it belongs to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

MARK = "owner.json"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that opened a sandbox. A pid alone is reused; its start time and the boot are not."""

    pid: int
    start: int
    """Clock ticks after boot at which the process started."""
    boot: str
    kind: str
    label: str

    @property
    def alive(self) -> bool:
        return self.boot == _boot() and self.start == _start(self.pid)


def mark_owner(directory: Path, *, kind: str, label: str) -> None:
    """Mark `directory` as this process's."""
    pid = os.getpid()
    mark = {"pid": pid, "start": _start(pid), "boot": _boot(), "kind": kind, "label": label}
    (directory / MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")


def read_owner(directory: Path) -> Owner | None:
    """The mark of `directory`, or None when it has none or it cannot be read."""
    try:
        mark = json.loads((directory / MARK).read_text(encoding="utf-8"))
        return Owner(
            int(mark["pid"]), int(mark["start"]), str(mark["boot"]), str(mark["kind"]), str(mark["label"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _start(pid: int) -> int:
    """Start time of a process in clock ticks after boot (proc(5), field 22); -1 when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return -1
    return int(stat.rpartition(")")[2].split()[19])
