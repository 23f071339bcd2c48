"""Launcher: the process of a sandbox's control group that starts its commands there.

To move a process into a group waits for a grace period of the kernel, 5 to 20 ms; to be born in one costs nothing. So
one process joins, ahead of need, and forks each command; the command is the holder's child all the same
(CLONE_PARENT). The holder stays outside: it must outlive whatever fills the group.
"""

from __future__ import annotations

import _socket
import os
import signal
from typing import Any, NoReturn

from . import kernel, protocol
from .cgroup import Cgroup
from .start import become, lead

_PATIENCE_S = 10.0
_TRIES = 2


class Launcher:
    """The holder's end. Without a group it never launches anything, and the holder forks itself."""

    def __init__(self, group: Cgroup | None) -> None:
        self.group = group
        self.pid = 0
        """0 while there is none."""
        self._sock: _socket.socket | None = None
        self._joined = False

    def start(self) -> None:
        """Fork it, if there is a group and none runs. It joins while others go on. Raises: OSError."""
        if self.group is None or self.pid:
            return
        ours, theirs = _socket.socketpair()
        pid = os.fork()
        if pid == 0:
            _serve(theirs, self.group)
        theirs.close()
        ours.settimeout(_PATIENCE_S)
        self.pid, self._sock, self._joined = pid, ours, False

    def joined(self) -> bool:
        """Whether commands are born in the group: waits until the launcher is in it."""
        if self.group is None:
            return False
        self.start()
        if not self._joined and self._sock is not None:
            try:
                reply = protocol.receive_reply(self._sock)
            except OSError:
                reply = None
            self._joined = reply is not None and not reply[1]
        if not self._joined:
            self._give_up()
        return self._joined

    def version(self) -> int:
        """The version of control groups that commands are born in; 0: none."""
        return self.group.version if self.joined() and self.group else 0

    def launch(self, order: dict[str, Any], fds: tuple[int, ...]) -> int:
        """Start what `order` says with these descriptors; its pid. 0: the group cannot be used, now or later.

        Raises: OSError when the group has no room for another process.
        """
        for _ in range(_TRIES):
            if not self.joined():
                return 0
            assert self._sock is not None
            try:
                protocol.send_request(self._sock, order, fds)
                reply = protocol.receive_reply(self._sock)
            except OSError:
                reply = None
            if reply is not None and reply[1]:
                raise OSError(reply[1], os.strerror(reply[1]), "fork")
            if reply is not None:
                return reply[0]
            self.forget()  # a command may kill it, and the kernel too, when the group has no more memory
        self._give_up()
        return 0

    def alone(self) -> bool:
        """Whether nothing is in the group beside it."""
        return self.group is not None and self.pid > 0 and self.group.tasks() <= 1

    def wake(self) -> None:
        """A command may have stopped it."""
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)

    def forget(self, pid: int | None = None) -> None:
        """It has ended, or shall (`pid`: if that is its number)."""
        if not self.pid or pid not in (None, self.pid):
            return
        if pid is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self._sock is not None:
            self._sock.close()
        self.pid, self._sock, self._joined = 0, None, False

    def _give_up(self) -> None:
        self.forget()
        self.group = None


def command_order(request: dict[str, Any], over_disk: bool, stdin: bool) -> dict[str, Any]:
    """A command; its descriptors: where output goes, then, with `stdin`, where input comes from."""
    return {"request": request, "over_disk": over_disk, "stdin": stdin, "session": False}


def session_order(request: dict[str, Any], over_disk: bool) -> dict[str, Any]:
    """A session; its descriptors: output, input, and where to report why it cannot start."""
    return {"request": request, "over_disk": over_disk, "stdin": True, "session": True}


def begin(order: dict[str, Any], fds: tuple[int, ...]) -> NoReturn:
    """Called in a forked child: become the first process of what was ordered."""
    request, over_disk = order["request"], order["over_disk"]
    if order["session"]:
        out, stdin, report = fds
        lead(lambda: become(request, stdin, out, over_disk, report), fds)
    become(request, fds[1] if order["stdin"] else None, fds[0], over_disk)


def _serve(sock: _socket.socket, group: Cgroup) -> NoReturn:
    """Join the group and start what is ordered until the holder's end of `sock` is gone."""
    try:
        try:
            group.join()
            # Seen from here the group is the root: its name says nothing to commands.
            kernel.unshare(kernel.CLONE_NEWCGROUP)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        except OSError as error:
            protocol.send_reply(sock, errno=error.errno or 1)
            raise
        own = sock.fileno()
        os.closerange(3, own)
        os.closerange(own + 1, 1 << 16)
        protocol.send_reply(sock, 0)
        while received := protocol.receive_request(sock):
            order, fds = received
            pid, number = -1, 0
            try:
                pid = kernel.fork_sibling()
            except OSError as error:
                number = error.errno or 11
            if pid == 0:
                os.close(own)
                begin(order, tuple(fds))
            for descriptor in fds:
                os.close(descriptor)
            protocol.send_reply(sock, pid, number)
    except OSError:
        pass
    finally:
        os._exit(0)
