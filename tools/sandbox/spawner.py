"""The product's end of the zygote: started on first use, one per process, shared by all sandboxes."""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SandboxError
from .groups import GROUPS
from .holder import protocol
from .holder.cgroup_place import start_of
from .ownership import owner_mark

_START_TIMEOUT_S = 60.0
_DESCRIPTORS = 16384
_CODE = (
    "import sys; sys.path.append(sys.argv[1]); from holder.zygote import main; "
    "main(int(sys.argv[2]), sys.argv[3], sys.argv[4])"
)
GROUP_VARIABLE = "SWE_AGENT_CGROUP"
"""`off`, or the name of the control group below which those of sandboxes are made."""


class HolderError(SandboxError):
    """A holder could not start. `number` is the errno of the step that failed."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number

    def __reduce__(self) -> tuple[type[HolderError], tuple[str, int]]:
        return HolderError, (str(self), self.number)  # the default would give back the message alone


@dataclass(slots=True)
class Holder:
    """A running holder: its socket, a descriptor of its process, and the shell its system has."""

    sock: socket.socket
    pidfd: int
    pid: int
    shell: str
    groups: list[str]
    """Folders of its control group."""

    def kill(self) -> None:
        """End the holder and with it every process of its namespace; returns when all are gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.poll(10_000)

    def release(self) -> None:
        """Let go of what `kill` ended."""
        self.sock.close()
        os.close(self.pidfd)
        GROUPS.remove(self.groups)


class _Zygote:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._pid = 0

    def spawn(self, config: dict[str, Any]) -> Holder:
        """Fork a holder with this view. Raises: HolderError; SandboxError when no zygote can run."""
        ours, theirs = socket.socketpair()
        ours.settimeout(_START_TIMEOUT_S)
        with theirs:
            for attempt in range(2):
                with self._lock:
                    try:
                        protocol.send_request(self._connect(), config, (theirs.fileno(),))
                        break
                    except OSError as error:
                        self._forget()
                        if attempt:
                            raise SandboxError(f"the sandbox's helper process is gone: {error}") from error
        return _await_ready(ours)

    def _connect(self) -> socket.socket:
        """The socket of the running zygote; a new one after a fork of this process or a crash."""
        if self._pid != os.getpid():
            self._process = self._sock = None
        if self._sock is None or self._process is None or self._process.poll() is not None:
            self._start()
        assert self._sock is not None
        return self._sock

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-c", _CODE, str(Path(__file__).parent)]
        mark = owner_mark(kind="zygote", label="")
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), os.environ.get(GROUP_VARIABLE, ""), owner_name(), mark],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        self._sock = ours
        self._pid = os.getpid()
        _raise_descriptor_limit()

    def _forget(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None

    def stop(self) -> None:
        """End the zygote; holders that are still open end when this process closes their sockets."""
        if self._pid == os.getpid() and self._process is not None:
            self._forget()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)


def _raise_descriptor_limit() -> None:
    """Each fork costs this process two descriptors; the usual soft limit of 1024 is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _await_ready(sock: socket.socket) -> Holder:
    """Two replies arrive in either order: the process descriptor, and that the view stands."""
    pidfd, pid, shell = -1, 0, ""
    groups: list[str] = []
    while pidfd < 0 or not shell:
        try:
            reply = protocol.receive_reply(sock)
        except OSError as error:
            reply = None
            why = str(error)
        else:
            why = "its process ended"
        if reply is None or reply[1]:
            if pidfd >= 0:
                os.close(pidfd)
            sock.close()
            GROUPS.remove(groups)
            if reply is None:
                raise SandboxError(f"the sandbox did not start: {why}")
            raise HolderError(reply[4].decode("utf-8", "replace"), reply[1])
        code, _, _, _, payload, fds = reply
        if fds:
            pidfd, pid = fds[0], code
            groups = payload.decode("utf-8", "surrogateescape").split("\0") if payload else []
        else:
            shell = payload.decode()
    return Holder(sock, pidfd, pid, shell, groups)


def owner_name() -> str:
    """This process as control groups are named after it: number and start."""
    return f"{os.getpid()}-{start_of(os.getpid())}"


ZYGOTE = _Zygote()
atexit.register(ZYGOTE.stop)
