"""PipeSession: a Session over a process's two pipes."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable

from ..errors import SandboxError
from .base import Session

_CHUNK = 1 << 16


class PipeSession(Session):
    """Lines over `stdin` and `stdout`, two descriptors that the session owns; `kill` ends the process and
    all that it started."""

    def __init__(self, stdin: int, stdout: int, kill: Callable[[], None]) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._kill = kill
        self._buffer = bytearray()
        self._searched = 0
        self._closed = False

    def send(self, line: bytes) -> None:
        if self._closed:
            raise SandboxError("the session is closed")
        data = memoryview(line + b"\n")
        try:
            while data:
                data = data[os.write(self._stdin, data) :]
        except OSError as error:
            raise SandboxError(f"the session's process has ended: {error.strerror}") from error

    def receive(self, timeout: float | None = None) -> bytes:
        if self._closed:
            raise SandboxError("the session is closed")
        end = None if timeout is None else time.monotonic() + timeout
        while (at := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            left = None if end is None else max(0.0, end - time.monotonic()) * 1000
            poll = select.poll()  # select(2) knows no descriptor from 1024 on
            poll.register(self._stdout, select.POLLIN)
            if not poll.poll(left):
                raise TimeoutError(f"the session's process did not answer within {timeout:g} s")
            data = os.read(self._stdout, _CHUNK)
            if not data:
                raise SandboxError("the session's process has ended")
            self._buffer += data
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 1]
        self._searched = 0
        return line

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._kill()
        for descriptor in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                os.close(descriptor)
