"""Cgroup: the control group of one sandbox. It bounds what all processes together hold in memory, and how many they are.

Files and their meaning: the kernel's admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from .held import read_file

_ROOM_BYTES = 32 << 20
"""Above the sandbox's limit: the launcher lives in the group too, and the watch ends a command at the limit itself."""
_ROUNDS, _PAUSE_S = 200, 0.005


class Cgroup:
    """`folders`: the group's one folder in cgroup v2; in v1 those of the controllers memory and pids.

    Whoever opens it needs the permissions; the descriptors then serve processes that gave them up.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        """Open a group that exists. Raises: OSError."""
        self.folders = tuple(folders)
        self._descriptors: list[int] = []
        try:
            self._procs = [self._open(f"{folder}/cgroup.procs", os.O_WRONLY) for folder in folders]
            events = "memory.events" if self.version == 2 else "memory.oom_control"
            self._events = self._open(f"{folders[0]}/{events}", os.O_RDONLY)
            self._current = self._open(f"{folders[-1]}/pids.current", os.O_RDONLY)
        except OSError:
            self.close()
            raise

    @classmethod
    def make(cls, folders: Sequence[str]) -> Cgroup:
        """Raises: OSError (FileExistsError when there is one); nothing new is left then."""
        made: list[str] = []
        try:
            for folder in folders:
                os.mkdir(folder, 0o755)
                made.append(folder)
            return cls(folders)
        except OSError:
            remove(made, rounds=1)
            raise

    @property
    def version(self) -> int:
        return 2 if len(self.folders) == 1 else 1

    def join(self) -> None:
        """Move this process in. What it starts from now on is in the group too. Raises: OSError."""
        for descriptor in self._procs:
            os.write(descriptor, b"0")

    def oom_kills(self) -> int:
        """How many processes of the group were killed because it had no more memory."""
        for line in os.pread(self._events, 4096, 0).splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
        return 0

    def tasks(self) -> int:
        """Processes and threads in the group that nobody has waited for yet."""
        return int(os.pread(self._current, 64, 0))

    def close(self) -> None:
        """Let go of the descriptors; the group stays."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def _open(self, path: str, flags: int) -> int:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        return descriptor


def bound(folders: Sequence[str], limits: dict[str, Any], *, disk_in_memory: bool) -> None:
    """Set the limits of a sandbox on its group. With `disk_in_memory` what it writes counts as memory, so that
    its disk limit comes on top. Never raises: a limit that this kernel does not have is the watch's."""
    memory, disk = limits["memory_bytes"], limits["disk_bytes"]
    if memory is not None and not (disk_in_memory and disk is None):
        most = str(memory + _ROOM_BYTES + (disk if disk_in_memory else 0))
        if len(folders) == 1:
            _write(f"{folders[0]}/memory.swap.max", "0")
            _write(f"{folders[0]}/memory.max", most)
        else:
            _write(f"{folders[0]}/memory.limit_in_bytes", most)
            _write(f"{folders[0]}/memory.memsw.limit_in_bytes", most)
    if limits["processes"] is not None:
        _write(f"{folders[-1]}/pids.max", str(limits["processes"] + 1))


def remove(folders: Sequence[str], *, rounds: int = _ROUNDS) -> bool:
    """Remove a group as soon as it is empty; whether it is gone. Never raises."""
    left = list(folders)
    for attempt in range(rounds):
        if attempt:
            time.sleep(_PAUSE_S)
        left = [folder for folder in left if not _removed(folder)]
        if not left:
            return True
    return False


def kill(folder: str) -> None:
    """Kill what is in a group, once; what has just been started may escape before Linux 5.14."""
    if _write(f"{folder}/cgroup.kill", "1"):
        return
    for word in read_file(f"{folder}/cgroup.procs").split():
        if (
            int(word) > 1
        ):  # 0 stands for a process of another pid namespace, and to kill it would be to kill us
            try:
                os.kill(int(word), signal.SIGKILL)
            except OSError:
                pass


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
