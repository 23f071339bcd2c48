"""Limits of a command: what the kernel enforces per process, and what the holder watches in total."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from typing import Any

from . import kernel
from .held import commands, read_file, shared_bytes, socket_bytes, unlinked_bytes
from .seccomp import build_filter

_FILTER = build_filter()
_FIRST_CHECK_S, _LATEST_CHECK_S = 0.02, 0.1
_PAGE = resource.getpagesize()
_RESERVED_PIDS = 300  # the kernel never gives these out again once pid numbers have wrapped around


def _lower(kind: int, value: int | None) -> None:
    if value is None:
        return
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def apply_to_command(limits: dict[str, Any], over_disk: bool) -> None:
    """Called in the child just before exec: limits, no capabilities, no new privileges, the filter.

    RLIMIT_DATA bounds the private memory of one process; RLIMIT_AS would break every runtime that
    reserves address space it never uses (Node, the JVM). A fork over its disk limit may only delete.
    """
    _lower(resource.RLIMIT_DATA, limits["memory_bytes"])
    _lower(resource.RLIMIT_CPU, limits["cpu_s"])
    _lower(resource.RLIMIT_NOFILE, limits["open_files"])
    _lower(resource.RLIMIT_FSIZE, 0 if over_disk else limits["file_bytes"])
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_MEMLOCK, 8 << 20)
    _lower(resource.RLIMIT_NPROC, limits["nproc"])
    drop_privileges()


def drop_privileges() -> None:
    for capability in range(64):
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last capability this kernel has
    kernel.set_capabilities(0, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if _FILTER is not None:
        kernel.install_filter(*_FILTER)


def bound_pids(processes: int | None) -> None:
    """Bound the pid numbers of this namespace (kernels from 6.14 on; RLIMIT_NPROC works before)."""
    if processes is None:
        return
    try:
        descriptor = os.open("/proc/sys/kernel/pid_max", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(descriptor, str(processes + _RESERVED_PIDS).encode())
    except OSError:
        pass  # a kernel on which pid_max belongs to the host alone
    finally:
        os.close(descriptor)


class Watch:
    """The limits that concern all processes of a command together."""

    def __init__(
        self, limits: dict[str, Any], usage: Callable[[], int], oom_kills: Callable[[], int] = lambda: 0
    ) -> None:
        self._memory: int | None = limits["memory_bytes"]
        self._processes: int | None = limits["processes"]
        self._over_memory = f"memory limit of {self._memory} bytes"
        self._disk: int | None = limits["disk_bytes"]
        self._network: bool = limits.get("network", False)
        self._usage = usage
        self._oom_kills = oom_kills
        self._kills = 0
        self._written = 0
        self.over_disk = False
        self.start()

    def start(self) -> None:
        self._every = _FIRST_CHECK_S
        now = time.monotonic()
        self.due = now + self._every
        self._disk_due = now + _LATEST_CHECK_S

    def check(self) -> str | None:
        """The limit that is exceeded, in words, or None. Sets when it is due again."""
        broken = self.killed() or self._check_processes()
        now = time.monotonic()
        if broken is None and self._disk is not None and now >= self._disk_due:
            if self.measure_disk() and not self._allowed_over:
                broken = f"disk limit of {self._disk} bytes"
            after = time.monotonic()
            self._disk_due = after + max(_LATEST_CHECK_S, 4 * (after - now))
            now = after
        self._every = min(self._every * 2, _LATEST_CHECK_S)
        self.due = now + self._every
        return broken

    _allowed_over = False

    def begin(self) -> None:
        """A command starts. One that starts over the disk limit lives: it may be deleting."""
        self._allowed_over = self.over_disk
        self._kills = self._oom_kills()
        self.start()

    def killed(self) -> str | None:
        """The memory limit in words, if the kernel says that the group's was reached since the command began."""
        if self._memory is None or self._oom_kills() <= self._kills:
            return None
        return self._over_memory

    def finish(self) -> None:
        """A command ended: measure the disk again if it wrote much or was over the limit."""
        if self._disk is None:
            return
        written = resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock * 512
        if self.over_disk or written - self._written > self._disk >> 4:
            self.measure_disk()
            self._written = written

    def measure_disk(self) -> bool:
        self.over_disk = self._disk is not None and self._usage() + unlinked_bytes(commands()) > self._disk
        return self.over_disk

    def _check_processes(self) -> str | None:
        if self._memory is None and self._processes is None:
            return None
        pids = commands()
        if self._processes is not None and len(pids) > self._processes:
            return f"limit of {self._processes} processes"
        if self._memory is None:
            return None
        held = shared_bytes() + (0 if self._network else socket_bytes())
        if sum(_resident(pid) for pid in pids) + held <= self._memory:
            return None
        # Pages shared by forked workers were counted once for each; proportional sizes are exact.
        if sum(_proportional(pid) for pid in pids) + held > self._memory:
            return self._over_memory
        return None


def _resident(pid: str) -> int:
    fields = read_file(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def _proportional(pid: str) -> int:
    for line in read_file(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0
