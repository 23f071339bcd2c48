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


def owner_mark(*, kind: str, label: str) -> str:
    """One line of JSON that names this process."""
    pid = os.getpid()
    return json.dumps({"pid": pid, "start": _start(pid), "boot": _boot(), "kind": kind, "label": label})


def mark_owner(directory: Path, *, kind: str, label: str) -> None:
    """Mark `directory` as this process's."""
    (directory / MARK).write_text(owner_mark(kind=kind, label=label) + "\n", encoding="utf-8")


def parse_owner(mark: str) -> Owner | None:
    """The owner that a mark names, or None when it is not one."""
    try:
        fields = json.loads(mark)
        return Owner(
            int(fields["pid"]),
            int(fields["start"]),
            str(fields["boot"]),
            str(fields["kind"]),
            str(fields["label"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def read_owner(directory: Path) -> Owner | None:
    """The mark of `directory`, or None when it has none or it cannot be read."""
    try:
        return parse_owner((directory / MARK).read_text(encoding="utf-8"))
    except OSError:
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
