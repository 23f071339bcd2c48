"""Sandbox: where commands run.

A command that fails is data (`ExecResult`); a sandbox that fails is a `SandboxError`.
All methods are synchronous and safe to call from a worker thread; asyncio callers use
`asyncio.to_thread`, because spawning on the loop thread is slower than a thread per command.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import ClassVar, Self

from ..errors import SandboxError

DEFAULT_ROOT = PurePosixPath("/testbed")


@dataclass(frozen=True, slots=True)
class Limits:
    """Walls of one sandbox. Bytes and seconds; None means no limit of that kind."""

    wall_s: float = 600.0
    """Wall seconds of one command when the caller names no timeout."""
    memory_bytes: int | None = 4 << 30
    processes: int | None = 512
    cpu_s: int | None = 3600
    file_bytes: int | None = 1 << 30
    open_files: int | None = 4096
    disk_bytes: int | None = 4 << 30
    """Bytes that all writes of one fork together may occupy."""
    output_bytes: int = 1 << 20
    """Output kept of one command: the head and the tail; the middle is dropped and `truncated` set."""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What a sandbox is opened over."""

    source: Path
    """Host directory with the repository. It is the lower layer and is never written
    (`plain` works on a private copy of it)."""
    scratch: Path
    """Host directory of this run for upper layers and sockets; `runs gc` finds leftovers there."""
    root: PurePosixPath = DEFAULT_ROOT
    """Where commands see the repository. The same in every fork, so editable installs keep working.
    `plain` ignores it: read `Sandbox.root`."""
    read_only: tuple[Path, ...] = ()
    """Further host paths visible at the same path, read-only (the venv, its base interpreter)."""
    writable: tuple[Path, ...] = ()
    """Further host paths visible at the same path, writable (the venv while it is being built)."""
    mounts: Mapping[PurePosixPath, Path] = field(default_factory=dict[PurePosixPath, Path])
    """Host directories visible, writable, at other paths (`/logs` → a folder of the run). `namespace` alone has them."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment of every command, on top of a minimal clean one. The host's own is never passed."""
    network: bool = False
    limits: Limits = field(default_factory=Limits)
    image: str | None = None
    """Container image (docker only)."""
    label: str = ""
    """Run id, put on processes, mounts and containers so that leftovers can be found."""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command did. `output` is stdout and stderr merged in order, decoded with replacement."""

    exit_code: int
    """The command's own status; 128+N when signal N ended it; 124 when `timed_out`."""
    output: str
    duration_s: float
    timed_out: bool = False
    truncated: bool = False


class Session(ABC):
    """A process inside a sandbox that outlives one command: lines go in, lines come out.

    It runs under the same walls and limits as a command, and everything it started dies with it. While it
    is open its sandbox does nothing else (no exec, fork, read or write: they may wait for it): give it a
    fork of its own. stderr is dropped. Not safe for two threads at once.
    """

    @abstractmethod
    def send(self, line: bytes) -> None:
        """Write `line` (no newline inside; one is added) to the process's stdin.

        Raises: SandboxError when the process has ended.
        """

    @abstractmethod
    def receive(self, timeout: float | None = None) -> bytes:
        """The next line of the process's stdout, without its newline; a line may be many MiB long.

        Raises: TimeoutError after `timeout` seconds (what had arrived of the line is kept for the next
        call); SandboxError when the process has ended and no whole line is left.
        """

    @abstractmethod
    def close(self) -> None:
        """Kill the process and all it started. Idempotent."""


class Sandbox(ABC):
    """A copy-on-write view of the repository in which commands run.

    Lifecycle: opened by `open_sandbox(kind, spec)`, forked any number of times and to any depth,
    closed. A fork sees the files of its parent at the moment of the fork and nothing of what either
    does later. Closing is idempotent, kills every process started inside and frees all disk space.
    """

    kind: ClassVar[str]
    walls: ClassVar[bool]
    """Whether this kind isolates (False for `plain`)."""
    root: PurePosixPath
    """Absolute path of the repository as commands see it."""
    temporary: PurePosixPath = PurePosixPath("/tmp")
    """Folder for files that belong to neither the repository nor the host; private to this sandbox."""

    @abstractmethod
    def exec(
        self,
        cmd: str | Sequence[str],
        *,
        timeout: float | None = None,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> ExecResult:
        """Run `cmd` (a string goes to `bash -c`, else `sh -c`; a sequence is argv).

        `cwd` is relative to `root` unless absolute. On timeout the whole process group dies.
        Data: non-zero exit, timeout, truncated output, killed by a limit.
        Raises: SandboxError when the sandbox itself is gone or cannot run anything, or the host's disk is
        full.
        """

    @abstractmethod
    def read_bytes(self, path: str | PurePosixPath, *, max_bytes: int | None = None) -> bytes:
        """Contents of a file as the sandbox sees it. Relative paths start at `root`.

        Raises: FileNotFoundError, IsADirectoryError, PermissionError (as the sandbox meets them);
        SandboxError when the sandbox is gone.
        """

    def peek(self, path: str, max_bytes: int) -> bytes | None:
        """What a file that was written here holds at this moment, while a command runs; None where that cannot be
        seen. Never follows a link. For screens: nothing may be decided by it."""
        return None

    @abstractmethod
    def write_bytes(self, path: str | PurePosixPath, data: bytes) -> None:
        """Replace or create a file, keeping an existing file's mode; parents are created.

        Raises: IsADirectoryError, PermissionError; OSError when a limit is hit; SandboxError.
        """

    def open_session(
        self,
        argv: Sequence[str],
        *,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Session:
        """Start `argv` as a long-lived process (see `Session`). `cwd` and `env` as for `exec`; no wall
        limit. Raises: SandboxError when it cannot start or this kind has no sessions (callers then fall
        back to `exec`)."""
        raise SandboxError(f"the {self.kind} sandbox has no long-lived sessions")

    def placeless(self, text: str) -> str:
        """What a command said, with paths that hold in every fork."""
        return text

    @abstractmethod
    def fork(self) -> Sandbox:
        """An independent copy-on-write child. Raises: SandboxError."""

    @abstractmethod
    def close(self) -> None:
        """Kill everything inside and free all resources. Idempotent; never raises for a dead sandbox."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
