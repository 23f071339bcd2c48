"""Guard: what keeps a candidate from harming the search: limits, an audit hook, a look at the checkout.

The sandbox around the engine is the wall; these are the fences inside it, so that one bad candidate costs
one worker and not the search.
"""

from __future__ import annotations

import mmap
import os
import resource
import struct
import sys
from collections.abc import Iterable
from typing import Any, Tuple

from .suite import arm, disarm

__all__ = ["Checkout", "Fence", "Refused", "arm", "disarm", "granted", "limit_process", "share"]

_MEMORY = 2 << 30
"""Bytes for one process at most; `share` divides what the sandbox grants."""
_LEAST = 384 << 20
_FORKS = 64
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Refused(PermissionError):
    """A candidate asked for something that only a mutant gone wrong asks for."""


def granted() -> int:
    """Bytes that this sandbox grants to all processes together: the lowest wall that can be seen."""
    found = [_number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
    found += [resource.getrlimit(what)[0] for what in (resource.RLIMIT_DATA, resource.RLIMIT_AS)]
    return min([value for value in found if 0 < value < 1 << 50], default=4 << 30)


def _number(path: str) -> int:
    try:
        with open(path, encoding="ascii") as handle:
            return int(handle.read())
    except (OSError, ValueError):
        return 0


def share(workers: int, total: int) -> Tuple[int, int]:
    """(workers, bytes for each) out of `total` bytes: fewer workers rather than too little memory for one. Two shares are the
    controller's and the pristine process's."""
    workers = max(1, min(workers, total // _LEAST - 2))
    return workers, min(_MEMORY, total // (workers + 2))


def limit_process(memory: int, processes: int = 256) -> None:
    """Walls of this process and its children. Limits already lower are kept."""
    with open("/proc/self/statm", encoding="ascii") as handle:
        used = int(handle.read().split()[0]) * resource.getpagesize()
    for what, value in (
        (resource.RLIMIT_AS, used + memory), (resource.RLIMIT_FSIZE, 256 << 20), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, processes),
    ):  # fmt: skip
        soft, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        if soft == resource.RLIM_INFINITY or value < soft:
            try:
                resource.setrlimit(what, (value, hard))
            except (ValueError, OSError):
                continue
    sys.setrecursionlimit(min(sys.getrecursionlimit(), 1500))


class Fence:
    """An audit hook (PEP 578) that refuses to alter files of the checkout and to fork without end.

    Paths that the unmodified tests write themselves are learnt first and stay allowed. The hook cannot be
    removed, so it lives in forked workers only.
    """

    def __init__(self, root: str, *others: str) -> None:
        self.roots = tuple(os.path.realpath(path) + os.sep for path in (root, *others))
        self.allowed: set = set()
        self.learning = False
        self.active = False
        self.counter = mmap.mmap(-1, 8)
        self.owner = os.getpid()

    def install(self) -> None:
        self.owner = os.getpid()
        self.counter[:8] = struct.pack("q", 0)
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: Any) -> None:
        if not (self.active or self.learning):
            return
        if event == "open":
            self._opened(args)
        elif event in ("os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.mkdir", "shutil.rmtree"):
            self._altered(event, args)
        elif event in ("os.rename", "os.link", "os.symlink", "shutil.move"):
            for path in args[:2]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    self.touch(os.fsdecode(path))
        elif event in ("os.fork", "os.forkpty", "subprocess.Popen", "os.posix_spawn", "os.system"):
            self._forked()
        elif event == "os.kill" and self.active and os.getpid() == self.owner:
            if args and args[0] in (-1, 0, 1, os.getppid()):
                raise Refused("kill")

    def _opened(self, args: Any) -> None:
        path, _, flags = args
        writes = isinstance(flags, int) and flags & _WRITES
        if writes and isinstance(path, (str, bytes)) and os.fsdecode(path) != os.devnull:
            self.touch(os.fsdecode(path))

    def _altered(self, event: str, args: Any) -> None:
        if args and isinstance(args[0], (str, bytes, os.PathLike)):
            dir_fd = args[-1] if len(args) > 1 and isinstance(args[-1], int) and args[-1] >= 0 else None
            path = os.fsdecode(args[0])
            if dir_fd is not None and event in ("os.remove", "os.rmdir"):
                path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
            self.touch(path)

    def _forked(self) -> None:
        (count,) = struct.unpack("q", self.counter[:8])
        self.counter[:8] = struct.pack("q", count + 1)
        if count > _FORKS and self.active:
            if os.getpid() != self.owner:
                os._exit(97)
            raise Refused("too many processes")

    def touch(self, path: str) -> None:
        real = os.path.realpath(path)
        if (
            (real + os.sep).startswith(self.roots)
            and "/__pycache__" not in real
            and "/.pytest_cache" not in real
        ):
            if self.learning:
                self.allowed.add(real)
            elif real not in self.allowed and os.path.dirname(real) not in self.allowed:
                raise Refused(f"a candidate may not alter {real}")


Stamp = Tuple[int, int, int]


class Checkout:
    """Sizes and times of the files that matter, to see whether a candidate got past the fence."""

    def __init__(self, root: str, paths: Iterable[str]) -> None:
        self.root = root
        self.stamps: dict[str, Stamp | None] = {path: self._stamp(path) for path in paths}

    def _stamp(self, path: str) -> Stamp | None:
        try:
            seen = os.stat(os.path.join(self.root, path))
        except OSError:
            return None
        return (seen.st_size, seen.st_mtime_ns, seen.st_ino)

    def damage(self) -> list[str]:
        """Paths that changed or vanished since the start."""
        return [path for path, stamp in self.stamps.items() if self._stamp(path) != stamp]
