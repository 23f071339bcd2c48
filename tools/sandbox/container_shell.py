"""The persistent shell inside a container: its first process, spoken to over one attached socket.

The shell reads generated commands from its standard input, so a command costs a fork in the container
instead of an exec through the daemon. It needs a POSIX `sh` and nothing else of the image.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SandboxError
from .holder.output import BoundedOutput

PROGRAM = ["sh"]
# On USR1 the shell kills everything but itself: how a timeout reaches a command without a process more.
# Its own standard error would carry remarks about killed jobs.
_PREPARE = b"trap 'kill -9 -1 2>/dev/null' USR1; exec 2>/dev/null\n"
OWN_STDIN = "<&0"
"""Lets a command read what is sent to the shell, which waits for it meanwhile."""
_FRAME = struct.Struct(">BxxxI")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class ShellResult:
    exit_code: int
    output: BoundedOutput
    duration_s: float
    stopped: str | None
    """Why the command was killed: `timeout`, or a limit in words."""


class ContainerShell:
    """One conversation at a time; `run` may be called from any thread that holds the caller's lock."""

    def __init__(self, attached: Any, kill: Callable[[], None]) -> None:
        """`attached` is what docker-py's attach_socket gives; `kill` sends USR1 to the container."""
        self._keep = attached
        self._sock: socket.socket = getattr(attached, "_sock", attached)
        self.kill = kill
        self._buffer = bytearray()
        self.send(_PREPARE)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._keep.close()

    def run(
        self,
        script: str,
        *,
        stdin: str = "</dev/null",
        timeout: float,
        output_bytes: int,
        watch: Callable[[], str | None] | None = None,
    ) -> ShellResult:
        """Run `script` in a subshell; then nothing that it started is alive.

        `watch` is called about once a second. Raises: ConnectionError when the shell is gone.
        """
        output = BoundedOutput(output_bytes)
        start = time.monotonic()
        end = self.begin(script, stdin=stdin)
        stopped: str | None = None
        next_watch = start + 1.0
        tail = b""
        while True:
            now = time.monotonic()
            if stopped is None and now >= start + timeout:
                stopped = "timeout"
                self.kill()
            if stopped is None and watch is not None and now >= next_watch:
                stopped = watch()
                if stopped is not None:
                    self.kill()
                next_watch = time.monotonic() + 1.0
            limits = [start + timeout, next_watch if watch else start + timeout]
            wait = 30.0 if stopped else max(min(limits) - time.monotonic(), 0.01)
            data = self.receive(wait, give_up=stopped is not None)
            tail += data
            found = tail.find(end)
            if found >= 0 and tail.find(b"\n", found + len(end)) >= 0:
                code = int(tail[found + len(end) :].split(b"\n", 1)[0])
                output.feed(tail[:found])
                return ShellResult(code, output, time.monotonic() - start, stopped)
            # All but what may be the beginning of the end mark is output.
            keep = len(end) + 16
            if found < 0 and len(tail) > keep:
                output.feed(tail[:-keep])
                tail = tail[-keep:]

    def begin(self, script: str, *, stdin: str) -> bytes:
        """Start `script` in a subshell. Returns the mark that its exit status and a line end will follow in
        what is received, once nothing that it started is alive. Raises: ConnectionError."""
        token = secrets.token_hex(16)
        before, after = ("", stdin) if stdin.startswith("<") else (stdin + " | ", "")
        if stdin == OWN_STDIN:  # a background command's 0 is /dev/null before its redirections are made
            before, after = "exec 9<&0; ", "<&9 9<&-"
        line = (
            f"{before}( {script} ) {after} 2>&1 & exec 9<&-; wait $!; s=$?; kill -9 -1; "
            f"wait; printf '\\n{token} %s\\n' $s\n"
        )
        self.send(line.encode("utf-8", "surrogateescape"))
        return f"\n{token} ".encode()

    def send(self, data: bytes) -> None:
        """Raises: ConnectionError when the shell is gone."""
        self._sock.settimeout(60)
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def receive(self, wait: float, *, give_up: bool) -> bytes:
        """What the container wrote, without the daemon's framing; empty when nothing came in `wait` seconds.
        Raises: ConnectionError when the shell is gone, or with `give_up` when nothing came."""
        while True:
            if len(self._buffer) >= _FRAME.size:
                _, length = _FRAME.unpack_from(self._buffer)
                if len(self._buffer) >= _FRAME.size + length:
                    data = bytes(self._buffer[_FRAME.size : _FRAME.size + length])
                    del self._buffer[: _FRAME.size + length]
                    return data
            self._sock.settimeout(wait)
            try:
                chunk = self._sock.recv(_CHUNK)
            except TimeoutError:
                if give_up:
                    raise ConnectionError("its processes cannot be killed") from None
                return b""
            except OSError as error:
                raise ConnectionError(str(error)) from error
            if not chunk:
                raise ConnectionError("its main process ended")
            self._buffer += chunk


def assignments(env: Mapping[str, str]) -> str:
    """Shell words that export `env`."""
    for name in env:
        if not name.isidentifier():
            raise SandboxError(f"{name!r} is not a name of an environment variable")
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
    return f"export {words}; " if words else ""


def literal(data: bytes) -> str:
    """A shell command that writes exactly `data`."""
    plain = frozenset(range(0x20, 0x7F)) - frozenset(b"\\'")
    text = "".join(chr(byte) if byte in plain else f"\\0{byte:03o}" for byte in data)
    return f"printf '%b' '{text}'"
