"""One command in a holder: spawned, followed, bounded, and nothing of it left afterwards."""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import signal
import time
from typing import Any, NoReturn

from . import protocol
from .limits import Watch, apply_to_command
from .output import BoundedOutput

_PIPE_BYTES = 1 << 20


class Disconnected(Exception):
    """The product's end of the socket is gone."""


def run_command(sock: _socket.socket, request: dict[str, Any], stdin: int | None, watch: Watch) -> None:
    """Run one command and reply. Raises: Disconnected when nobody waits for the reply any more."""
    limits: dict[str, Any] = request["limits"]
    output = BoundedOutput(request["output_bytes"])
    start = time.monotonic()
    watch.begin()
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(write_end, 1031, _PIPE_BYTES)  # F_SETPIPE_SZ
    except OSError:
        pass  # over the user's pipe budget: the default size works as well
    pid = os.fork()
    if pid == 0:
        _become(request, limits, stdin, write_end, watch.over_disk)
    os.close(write_end)
    exited = os.pidfd_open(pid)
    try:
        reason = _follow(sock, read_end, exited, output, start + request["timeout"], watch)
        status = _sweep(pid)
        _drain(read_end, output)
    finally:
        os.close(read_end)
        os.close(exited)
    watch.finish()
    flags = protocol.TIMED_OUT if reason == "timeout" else 0
    if reason and not flags:
        output.feed(f"\n[killed: {reason}]\n".encode())
    if output.truncated:
        flags |= protocol.TRUNCATED
    code = 124 if flags & protocol.TIMED_OUT else os.waitstatus_to_exitcode(status)
    if code < 0:
        code = 128 - code
    protocol.send_reply(sock, code, 0, time.monotonic() - start, flags, output.value())


def _become(
    request: dict[str, Any], limits: dict[str, Any], stdin: int | None, out: int, over_disk: bool
) -> NoReturn:
    """The child: turn into the command. Never returns."""
    argv: list[str] = request["argv"]
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY) if stdin is None else stdin
        os.dup2(null, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.umask(0o022)
        try:
            apply_to_command(limits, over_disk)
            os.chdir(request["cwd"])
        except OSError as error:
            what = request["cwd"] if error.filename is None else error.filename
            os.write(2, f"{what}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
            os._exit(126)
        try:
            os.execvpe(argv[0], argv, request["env"])
        except OSError as error:
            os.write(2, f"{argv[0]}: {error.strerror}\n".encode("utf-8", "surrogateescape"))
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    finally:
        os._exit(126)


def _follow(
    sock: _socket.socket, pipe: int, exited: int, output: BoundedOutput, deadline: float, watch: Watch
) -> str | None:
    """Wait for the command's own process to end; return the reason why it has to be killed instead."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    poll.register(exited, select.POLLIN)
    poll.register(sock.fileno(), select.POLLRDHUP)
    while True:
        now = time.monotonic()
        if now >= deadline:
            return "timeout"
        if now >= watch.due:
            reason = watch.check()
            if reason:
                return reason
        wait = max(min(deadline, watch.due) - time.monotonic(), 0.0)
        for descriptor, event in poll.poll(wait * 1000 + 1):
            if descriptor == exited:
                return None
            if descriptor == pipe:
                data = os.read(pipe, _PIPE_BYTES) if event & select.POLLIN else b""
                output.feed(data)
                if not data:
                    poll.unregister(pipe)
            else:
                raise Disconnected


def _sweep(pid: int) -> int:
    """Kill every process of the namespace and reap all; the wait status of `pid`.

    The command itself may have ended by now: its status was kept for this wait.
    """
    status = 0
    while True:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            ended, result = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if ended == pid:
            status = result


def _drain(pipe: int, output: BoundedOutput) -> None:
    """Every writer is dead: what is in the pipe is all there will be."""
    while data := os.read(pipe, _PIPE_BYTES):
        output.feed(data)
