"""One command in a holder: spawned, followed, bounded, and nothing of it left afterwards."""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import time
from collections.abc import Callable
from typing import Any

from . import protocol
from .held import remove_segments
from .limits import Watch
from .output import BoundedOutput
from .processes import Processes

_PIPE_BYTES = 1 << 20


class Disconnected(Exception):
    """The product's end of the socket is gone."""


def run_command(
    sock: _socket.socket, request: dict[str, Any], stdin: int | None, watch: Watch, processes: Processes
) -> None:
    """Run one command and reply. Raises: Disconnected when nobody waits for the reply any more."""
    output = BoundedOutput(request["output_bytes"])
    start = time.monotonic()
    watch.begin()
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(write_end, 1031, _PIPE_BYTES)  # F_SETPIPE_SZ
    except OSError:
        pass  # over the user's pipe budget: the default size works as well
    try:
        pid = processes.start_command(request, stdin, write_end, watch.over_disk)
    except OSError:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    exited = os.pidfd_open(pid)
    try:
        reason = _follow(
            sock,
            read_end,
            exited,
            output,
            start + request["timeout"],
            watch,
            lambda: processes.bury_orphans(pid),
        )
        status = processes.sweep(pid)
        reason = reason or watch.killed()
        if reason and reason != "timeout":
            remove_segments()
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
    code = 124 if flags & protocol.TIMED_OUT else 137 if reason else os.waitstatus_to_exitcode(status)
    if code < 0:
        code = 128 - code
    protocol.send_reply(sock, code, 0, time.monotonic() - start, flags, output.value())


def _follow(
    sock: _socket.socket,
    pipe: int,
    exited: int,
    output: BoundedOutput,
    deadline: float,
    watch: Watch,
    bury: Callable[[], None],
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
            bury()
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


def _drain(pipe: int, output: BoundedOutput) -> None:
    """Every writer is dead: what is in the pipe is all there will be."""
    while data := os.read(pipe, _PIPE_BYTES):
        output.feed(data)
