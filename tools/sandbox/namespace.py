"""namespace: Linux namespaces and overlay layers. No daemon, no root, a fork in milliseconds."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from ..errors import SandboxError
from ..files import read_below
from .base import ExecResult, Limits, Sandbox, SandboxSpec, Session
from .environment import clean_env, shell_argv
from .family import Family
from .holder import protocol
from .holder.mounts import HOME
from .identity import Identity
from .obstacles import explain
from .session import PipeSession
from .space import require_space
from .spawner import ZYGOTE, Holder, HolderError

_SHM_BYTES = 256 << 20
_GRACE_S = 60.0
_LAYERS = 480
"""The kernel stacks up to 500 overlay layers."""


class NamespaceSandbox(Sandbox):
    """A view with its own users, mounts, processes, network, IPC and host name.

    Commands see the system read-only, the repository at `spec.root`, private /tmp and home, and the
    paths of `spec.read_only` and `spec.writable`; they run as user 1000 without capabilities. Each fork
    is one holder process whose overlay stacks a new layer on its parent's frozen ones.
    """

    kind: ClassVar[str] = "namespace"
    walls: ClassVar[bool] = True

    def __init__(self, spec: SandboxSpec, *, _fork: _Fork | None = None) -> None:
        """Raises: SandboxError that names what this machine lacks and what to do about it."""
        self.root = spec.root
        self._spec = spec
        self._lock = threading.RLock()
        self._closed = False
        if _fork is not None:
            self._family, self._repo, self._private, self._mode = _fork.values()
            self._start()
            return
        identity = Identity.current()
        self._family = Family(spec, identity)
        self._private = ["private.base"]
        self._mode = spec.source.stat().st_mode & 0o7777
        try:
            self._open(identity)
        except BaseException as error:
            self._family.remove()
            if isinstance(error, HolderError):
                raise SandboxError(explain(error)) from error
            raise

    def _open(self, identity: Identity) -> None:
        if identity.can_copy_up(self._spec.source):
            self._repo = ["source"]
            try:
                self._start()
                return
            except HolderError as error:
                if error.number != errno.EOVERFLOW:
                    raise
        self._repo = [self._family.copy_base()]
        self._closed = False
        self._start()

    def _start(self) -> None:
        """Start the holder on the current stacks with a fresh layer on top."""
        family = self._family
        if len(self._repo) > _LAYERS or len(self._private) > _LAYERS:
            raise SandboxError(
                f"this fork would be {_LAYERS} changed generations deep, more than overlayfs can stack: "
                "fork from an earlier state"
            )
        self._layer = self._repo_layer = self._private_layer = family.new_layer()
        binds = family.read_only + family.writable
        owned = [self._spec.source, *(Path(path) for path in [*binds, *family.mounts.values()])]
        config: dict[str, Any] = {
            "family": str(family.layers),
            "source": str(self._spec.source.resolve()) if self._repo[-1] == "source" else None,
            "root": str(self.root),
            "repo": list(self._repo),
            "private": list(self._private),
            "layer": self._layer,
            "mode": self._mode,
            "system": family.system,
            "read_only": family.read_only,
            "writable": family.writable,
            "mounts": family.mounts,
            "over": family.over,
            "network": self._spec.network,
            "limits": _limits(self._spec.limits),
            "disk_in_memory": family.in_memory,
            "shm_bytes": min(_SHM_BYTES, self._spec.limits.memory_bytes or _SHM_BYTES),
            "uid": family.identity.uid,
            "owners": family.identity.owners_to_map(owned),
        }
        self._held = [*self._repo, *self._private, self._layer]
        family.acquire(self._held)
        try:
            self._holder: Holder = ZYGOTE.spawn(config)
        except BaseException:
            self._closed = True
            family.release(self._held, keep_family=True)
            raise

    def exec(
        self,
        cmd: str | Sequence[str],
        *,
        timeout: float | None = None,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> ExecResult:
        limits = self._spec.limits
        wall = limits.wall_s if timeout is None else timeout
        merged = clean_env(HOME, self._spec.env, env)
        argv = shell_argv(cmd, self._holder.shell) if isinstance(cmd, str) else [str(part) for part in cmd]
        request = {
            "op": "exec",
            "argv": argv,
            "cwd": str(self.root / (cwd or "")),
            "env": merged,
            "timeout": max(wall, 0.0),
            "output_bytes": limits.output_bytes,
        }
        source = None if stdin is None else _memory_file(stdin)
        try:
            fds = () if source is None else (source,)
            code, _, duration, flags, payload, _ = self._ask(request, *fds, timeout=wall + _GRACE_S)
        finally:
            if source is not None:
                os.close(source)
        require_space(self._family.directory)
        return ExecResult(
            code,
            payload.decode("utf-8", "replace"),
            duration,
            bool(flags & protocol.TIMED_OUT),
            bool(flags & protocol.TRUNCATED),
        )

    def read_bytes(self, path: str | PurePosixPath, *, max_bytes: int | None = None) -> bytes:
        fds = self._ask({"op": "read", "path": str(self.root / path)})[5]
        with open(fds[0], "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            return file.read(-1 if max_bytes is None else max_bytes)

    def peek(self, path: str, max_bytes: int) -> bytes | None:
        return read_below(Path(f"/proc/{self._holder.pid}/root{self.root}"), path, max_bytes)

    def write_bytes(self, path: str | PurePosixPath, data: bytes) -> None:
        source = _memory_file(data)
        try:
            self._ask({"op": "write", "path": str(self.root / path), "size": len(data)}, source)
        finally:
            os.close(source)

    def open_session(
        self,
        argv: Sequence[str],
        *,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Session:
        """See `Sandbox.open_session`. A fork of a sandbox that was written to ends its sessions: they
        would go on in the files that parent and child now share."""
        read_in, stdin = os.pipe()
        stdout, write_out = os.pipe()
        request = {
            "op": "session",
            "argv": [str(part) for part in argv],
            "cwd": str(self.root / (cwd or "")),
            "env": clean_env(HOME, self._spec.env, env),
        }
        try:
            leader = self._ask(request, read_in, write_out)[0]
        except BaseException:
            os.close(stdin)
            os.close(stdout)
            raise
        finally:
            os.close(read_in)
            os.close(write_out)

        def kill() -> None:
            with contextlib.suppress(SandboxError):
                self._ask({"op": "end_session", "leader": leader})

        return PipeSession(stdin, stdout, kill)

    @property
    def cgroup_folders(self) -> tuple[str, ...]:
        """Where the host sees this sandbox's control group; empty without one."""
        return tuple(self._holder.groups)

    def cgroup_version(self) -> int:
        """The version of control groups that bound memory and processes here; 0: none can be had, a watch does."""
        return self._ask({"op": "group"})[0]

    def fork(self) -> NamespaceSandbox:
        with self._lock:
            layer = self._family.new_layer()
            _, _, _, flags, _, _ = reply = self._ask({"op": "freeze", "layer": layer})
            self._mode = reply[0]
            if flags & protocol.DIRTY_REPO:
                self._repo.insert(0, f"{self._repo_layer}/repo")
                self._repo_layer = layer
            if flags & protocol.DIRTY_PRIVATE:
                self._private.insert(0, f"{self._private_layer}/private")
                self._private_layer = layer
            if flags:
                self._family.acquire([layer])
                self._held.append(layer)
            fork = _Fork(self._family, list(self._repo), list(self._private), self._mode)
            return NamespaceSandbox(self._spec, _fork=fork)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        # Killing first ends a command that another thread waits for, which then lets go of the lock.
        self._holder.kill()
        with self._lock:
            self._holder.release()
            self._family.release(self._held)

    def _ask(
        self, request: dict[str, Any], *fds: int, timeout: float = _GRACE_S
    ) -> tuple[int, int, float, int, bytes, list[int]]:
        """Send a request and wait for its reply. Raises: OSError as the holder met it; SandboxError."""
        with self._lock:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            sock = self._holder.sock
            try:
                sock.settimeout(timeout)
                protocol.send_request(sock, request, fds)
                reply = protocol.receive_reply(sock)
            except ConnectionError:
                reply = None
            except OSError as error:
                self._holder.kill()
                raise SandboxError(f"the sandbox does not answer any more: {error}") from error
            except BaseException:
                self._holder.kill()  # interrupted: the reply on its way would be taken for the next one's
                raise
        if reply is None:
            why = "it was closed" if self._closed else "its holder process was killed from outside"
            raise SandboxError(f"the sandbox is gone: {why}")
        if reply[1]:
            require_space(self._family.directory)
            if request["op"] in ("read", "write"):
                raise OSError(reply[1], os.strerror(reply[1]), request["path"])
            raise SandboxError(f"the sandbox failed: {reply[4].decode('utf-8', 'replace')}")
        return reply


class _Fork:
    """What a child takes over from its parent."""

    def __init__(self, family: Family, repo: list[str], private: list[str], mode: int) -> None:
        self._values = (family, repo, private, mode)

    def values(self) -> tuple[Family, list[str], list[str], int]:
        return self._values


def _memory_file(data: bytes) -> int:
    """An anonymous file with `data`, at its beginning."""
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "memory_bytes": limits.memory_bytes,
        "processes": limits.processes,
        "cpu_s": limits.cpu_s,
        "file_bytes": limits.file_bytes,
        "open_files": limits.open_files,
        "disk_bytes": limits.disk_bytes,
        "nproc": _process_limit(limits.processes),
    }


def _process_limit(processes: int | None) -> int | None:
    """RLIMIT_NPROC for commands. Before Linux 5.14 the kernel counts all processes of the host user."""
    if processes is None:
        return None
    major, minor = (
        int("".join(filter(str.isdigit, part)) or 0) for part in platform.release().split(".")[:2]
    )
    if (major, minor) >= (5, 14):
        return processes
    own = os.geteuid()
    tasks = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == own:
                tasks += sum(1 for _ in (entry / "task").iterdir())
        except OSError:
            continue
    return processes + tasks
