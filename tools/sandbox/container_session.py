"""ContainerSession: a Session in a container. The process takes over the streams of the container's shell."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable

from ..errors import SandboxError
from .base import Session
from .container_shell import OWN_STDIN, ContainerShell

_START_S = 60.0
_WATCH_S = 1.0
_SETTLE_S = 0.05


class ContainerSession(Session):
    """While it is open, the shell waits for the process and reads nothing: lines reach the process alone."""

    def __init__(
        self,
        shell: ContainerShell,
        script: Callable[[str], str],
        watch: Callable[[], str | None],
        done: Callable[[], None],
    ) -> None:
        """`script` makes the shell code of the program, given what runs just before it. `watch` gives the
        reason to end the process, if there is one; `done` is called once when the shell is free again.
        Raises: SandboxError when it cannot start; ConnectionError when the shell is gone."""
        self._shell = shell
        self._watch = watch
        self._done = done
        self._buffer = bytearray()
        self._searched = 0
        self._ended = ""
        self._closed = False
        # Nothing may be sent before the shell has read its own line to the end.
        started = secrets.token_hex(8)
        self._mark = shell.begin(script(f"echo {started}; "), stdin=OWN_STDIN)
        try:
            said = self.receive(_START_S)
            if said != started.encode():
                raise SandboxError(said.decode("utf-8", "replace"))
        except (TimeoutError, SandboxError) as error:
            self.close()
            raise SandboxError(f"the session's process does not start: {error}") from error

    def send(self, line: bytes) -> None:
        if self._closed or self._ended:
            raise SandboxError(self._ended or "the session is closed")
        try:
            self._shell.send(line + b"\n")
        except ConnectionError as error:
            raise SandboxError(f"the container is gone: {error}") from error

    def receive(self, timeout: float | None = None) -> bytes:
        if self._closed:
            raise SandboxError("the session is closed")
        deadline = None if timeout is None else time.monotonic() + timeout
        next_watch = time.monotonic() + _WATCH_S
        while True:
            line = self._line()
            if line is not None:
                return line
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise TimeoutError(f"the session's process did not answer within {timeout:g} s")
            if now >= next_watch and not self._ended:
                why = self._watch()
                if why is not None:
                    self._ended = f"the session was killed: {why}"
                    self._shell.kill()
                next_watch = time.monotonic() + _WATCH_S
            self._fill(min(next_watch, deadline or next_watch) - now)

    def _line(self) -> bytes | None:
        """The next whole line, None when there is none yet. Raises: SandboxError at the end mark."""
        at = self._buffer.find(b"\n", self._searched)
        if at < 0:
            self._searched = len(self._buffer)
            return None
        if at == 0 and self._mark.startswith(self._buffer[: len(self._mark)]):
            self._fill(_SETTLE_S)  # an empty line, or the beginning of the end mark
        if self._buffer.startswith(self._mark, at):
            if at > 0:
                self._searched = 0
                del self._buffer[:at]
            self._ended = self._ended or "the session's process has ended"
            raise SandboxError(self._ended)
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 1]
        self._searched = 0
        return line

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(ConnectionError, SandboxError):
            if self._mark not in self._buffer:
                self._shell.kill()
            while self._buffer.find(b"\n", self._buffer.find(self._mark) + len(self._mark)) < 0:
                self._fill(30.0, give_up=True)
        self._done()

    def _fill(self, wait: float, *, give_up: bool = False) -> None:
        try:
            self._buffer += self._shell.receive(max(wait, 0.01), give_up=give_up)
        except ConnectionError as error:
            if give_up:
                raise
            raise SandboxError(f"the container is gone: {error}") from error
