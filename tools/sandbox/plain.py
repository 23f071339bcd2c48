"""plain: a private copy of the repository without walls. Only on explicit request or as a last resort."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from shutil import which
from typing import ClassVar

from ..errors import SandboxError
from ..files import read_below
from .base import ExecResult, Sandbox, SandboxSpec, Session
from .environment import clean_env, shell_argv
from .holder.output import BoundedOutput
from .ownership import mark_owner
from .session import PipeSession
from .space import require_space
from .trees import copy_tree, remove_tree

_log = logging.getLogger(__name__)
_WARNING = (
    "sandbox 'plain' has no walls: commands run as you, with your network and your files; "
    "use --sandbox namespace or docker for code that you do not trust"
)


@cache
def _warn() -> None:
    """Once in a process: a run opens several."""
    _log.warning(_WARNING)


class PlainSandbox(Sandbox):
    """Copies of the source tree under the scratch directory; commands are ordinary processes.

    A command's process group dies on timeout and when the command ends; a child that left the group
    by `setsid` survives, which is one of the reasons for the other kinds.
    """

    kind: ClassVar[str] = "plain"
    walls: ClassVar[bool] = False

    def __init__(self, spec: SandboxSpec, *, _parent: PlainSandbox | None = None) -> None:
        """Raises: SandboxError when the source is missing or cannot be copied."""
        if _parent is None:
            _warn()
        source = spec.source if _parent is None else Path(_parent.root)
        if not source.is_dir():
            raise SandboxError(f"{source} is not a directory: name the repository to work on")
        try:
            spec.scratch.mkdir(parents=True, exist_ok=True)
            self._home = Path(
                tempfile.mkdtemp(prefix=f"sandbox-plain-{os.getpid()}-", dir=spec.scratch.resolve())
            )
        except OSError as error:
            raise SandboxError(f"cannot create a sandbox under {spec.scratch}: {error.strerror}") from error
        mark_owner(self._home, kind="plain", label=spec.label)
        self._spec = spec
        self._shell = which("bash", path="/usr/bin:/bin") or "/bin/sh"
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._root = self._home / "repo"
        self.root = PurePosixPath(self._root)
        self.temporary = PurePosixPath(self._home / "tmp")
        try:
            copy_tree(source, self._root)
            (self._home / "home").mkdir()
            (self._home / "tmp").mkdir()
        except BaseException:
            remove_tree(self._home)
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
        self._alive()
        limits = self._spec.limits
        argv = shell_argv(cmd, self._shell) if isinstance(cmd, str) else list(cmd)
        merged = clean_env(str(self._home / "home"), {"TMPDIR": str(self.temporary)}, self._spec.env, env)
        merged["SHELL"] = self._shell
        start = time.monotonic()
        try:
            process = subprocess.Popen(
                argv,
                cwd=self._root / (cwd or ""),
                env=merged,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            code = 126 if isinstance(error, PermissionError) else 127
            return ExecResult(code, f"{error.filename or argv[0]}: {error.strerror}\n", 0.0)
        with self._lock:
            self._running.add(process)
        try:
            result = self._follow(process, stdin, start, limits.wall_s if timeout is None else timeout)
        finally:
            _kill_group(process)
            process.wait()
            with self._lock:
                self._running.discard(process)
        require_space(self._home)
        return result

    def _follow(
        self, process: subprocess.Popen[bytes], stdin: bytes | None, start: float, timeout: float
    ) -> ExecResult:
        """Pump stdin and output until the command ends or its time is up."""
        kept = BoundedOutput(self._spec.limits.output_bytes)
        assert process.stdout is not None
        exited = os.pidfd_open(process.pid)
        timed_out = False
        pending = memoryview(stdin or b"")
        with selectors.DefaultSelector() as selector, process.stdout as stdout:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(exited, selectors.EVENT_READ)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            ended = False
            while True:
                left = start + timeout - time.monotonic()
                if not ended and left <= 0:
                    timed_out = ended = True
                    _kill_group(process)
                events = selector.select(5.0 if ended else left)
                if ended and not events:
                    break
                for key, _ in events:
                    if key.fileobj is stdout:
                        data = os.read(stdout.fileno(), 1 << 16)
                        if not data:
                            selector.unregister(stdout)
                        kept.feed(data)
                    elif key.fileobj == exited:
                        ended = True
                        selector.unregister(exited)
                        _kill_group(process)
                    elif process.stdin is not None:
                        with contextlib.suppress(BlockingIOError):
                            try:
                                pending = pending[os.write(process.stdin.fileno(), pending[: 1 << 16]) :]
                            except BrokenPipeError:
                                pending = pending[:0]
                        if not pending:
                            selector.unregister(process.stdin)
                            process.stdin.close()
                if ended and stdout not in {key.fileobj for key in selector.get_map().values()}:
                    break
        if process.stdin is not None and not process.stdin.closed:
            with contextlib.suppress(OSError):
                process.stdin.close()
        os.close(exited)
        code = process.wait()
        text = kept.value().decode("utf-8", "replace")
        status = 124 if timed_out else (128 - code if code < 0 else code)
        return ExecResult(status, text, time.monotonic() - start, timed_out, kept.truncated)

    def read_bytes(self, path: str | PurePosixPath, *, max_bytes: int | None = None) -> bytes:
        self._alive()
        with self._inside(path).open("rb") as file:
            return file.read(-1 if max_bytes is None else max_bytes)

    def peek(self, path: str, max_bytes: int) -> bytes | None:
        return read_below(self._root, path, max_bytes)

    def write_bytes(self, path: str | PurePosixPath, data: bytes) -> None:
        self._alive()
        target = self._inside(path)
        limit = self._spec.limits.file_bytes
        if limit is not None and len(data) > limit:
            raise OSError(f"{path}: larger than the file limit of {limit} bytes")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(f"{target.parent} is not a directory") from error
        try:
            target.write_bytes(data)
        except OSError:
            require_space(self._home)
            raise

    def open_session(
        self,
        argv: Sequence[str],
        *,
        cwd: str | PurePosixPath | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Session:
        self._alive()
        merged = clean_env(str(self._home / "home"), {"TMPDIR": str(self.temporary)}, self._spec.env, env)
        merged["SHELL"] = self._shell
        read_in, stdin = os.pipe()
        stdout, write_out = os.pipe()
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=self._root / (cwd or ""),
                env=merged,
                stdin=read_in,
                stdout=write_out,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            os.close(stdin)
            os.close(stdout)
            raise SandboxError(f"{error.filename or argv[0]}: {error.strerror}") from error
        finally:
            os.close(read_in)
            os.close(write_out)
        with self._lock:
            self._running.add(process)

        def kill() -> None:
            _kill_group(process)
            process.wait()
            with self._lock:
                self._running.discard(process)

        return PipeSession(stdin, stdout, kill)

    def placeless(self, text: str) -> str:
        """Every fork lies in a folder of its own: paths below it become relative ones."""
        root = re.escape(str(self.root))
        return re.sub(rf"{root}(?![\w.-])", ".", re.sub(rf"{root}/(?=[\w.-])", "", text))

    def fork(self) -> PlainSandbox:
        self._alive()
        return PlainSandbox(self._spec, _parent=self)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        for process in running:
            _kill_group(process)
        remove_tree(self._home)

    def _inside(self, path: str | PurePosixPath) -> Path:
        """`path` with its links resolved. Raises: PermissionError when it lies outside this sandbox."""
        target = (self._root / path).resolve()
        if not target.is_relative_to(self._home):
            raise PermissionError(f"{path} is outside the sandbox")
        if target.exists() and not (target.is_file() or target.is_dir()):
            raise PermissionError(f"{path} is not a regular file")
        return target

    def _alive(self) -> None:
        if self._closed:
            raise SandboxError("the sandbox is closed")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
