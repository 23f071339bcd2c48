"""Spares: processes that wait in namespaces of their own for a view to build.

Entering namespaces and forking their process 1 is half of what a fork costs, and none of it depends on what
is forked. The zygote does it ahead, while nobody waits.
"""

from __future__ import annotations

import _socket
import os
import select
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from . import kernel, protocol
from .mounts import open_trees
from .serve import serve, settle

if TYPE_CHECKING:
    from .orders import HolderOrder, SpareOrder

INNER_ID = 1000
MOST_TREES = protocol.MOST_FDS - 1
_NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)

Kind = tuple[int | None, bool]
"""What must be known ahead: the host user to step down to (None: stay who we are), network or not."""


class StepError(OSError):
    """A step on the way into the namespaces failed; its message says which."""


def enter(kind: Kind) -> None:
    """Step down to the sandbox's user and enter new namespaces. Raises: StepError."""
    uid, network = kind
    step = "give up root"
    try:
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        step = "make the processes of the sandbox the first to go when memory runs out"
        write("/proc/self/oom_score_adj", "500")
        step = "unshare"
        outer_uid, outer_gid = os.geteuid(), os.getegid()
        kernel.unshare(_NAMESPACES | (0 if network else kernel.CLONE_NEWNET))
        step = "map the user"
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{INNER_ID} {outer_uid} 1")
        write("/proc/self/gid_map", f"{INNER_ID} {outer_gid} 1")
    except OSError as error:
        raise StepError(error.errno, f"{step}: {error.strerror}") from error


def fork_first(sock: _socket.socket) -> bool:
    """Fork process 1 of the new pid namespace: True there. Here, its pid and a descriptor of it go to `sock`."""
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        return True
    protocol.send_reply(sock, pid, fds=(os.pidfd_open(pid),))
    return False


@dataclass(slots=True)
class Spare:
    """A process 1 that waits on the other end of `sock`."""

    kind: Kind
    sock: _socket.socket

    def hand_over(self, config: HolderOrder, sock: _socket.socket, trees: dict[str, int]) -> bool:
        """Let it become the holder that serves `sock`. False when it did not start or is gone."""
        try:
            started = protocol.receive_reply(self.sock)
            if started is None or started[1]:
                return False
            pid, fds = started[0], started[5]
            try:
                order: SpareOrder = {**config, "trees": list(trees)}
                protocol.send_request(self.sock, order, (sock.fileno(), *trees.values()))
                protocol.send_reply(sock, pid, fds=(fds[0],))
            finally:
                for fd in fds:
                    os.close(fd)
        except OSError:
            return False
        return True


class Spares:
    """At most one spare of each kind that was asked for."""

    def __init__(self) -> None:
        self._spares: dict[Kind, Spare] = {}
        self._wanted: set[Kind] = set()
        # Readable whenever the mounts around us change (proc(5)): a spare has a copy from before.
        self._mounts = os.open("/proc/self/mounts", os.O_RDONLY | os.O_CLOEXEC)
        self._changes = select.poll()
        self._changes.register(self._mounts, select.POLLPRI)

    @property
    def missing(self) -> bool:
        return not self._wanted <= self._spares.keys()

    def take(self, kind: Kind) -> Spare | None:
        """The spare of this kind, if there is one and it sees what we see; another is wanted then."""
        if self._changes.poll(0):
            self.drop()
        self._wanted.add(kind)
        return self._spares.pop(kind, None)

    def make(self, inherited: _socket.socket) -> None:
        """Start what is missing. `inherited` is a socket that a spare must not hold open."""
        for kind in self._wanted - self._spares.keys():
            ours, theirs = _socket.socketpair()
            pid = os.fork()
            if pid == 0:
                inherited.close()
                self.leave()
                ours.close()
                _wait(theirs, kind)
            theirs.close()
            self._spares[kind] = Spare(kind, ours)

    def retire(self) -> None:
        """Keep none until the next request."""
        self.drop()
        self._wanted.clear()

    def leave(self) -> None:
        """In a forked child: keep nothing of them."""
        self.drop()
        os.close(self._mounts)

    def drop(self) -> None:
        """Let go of all spares: each ends when its socket closes."""
        for spare in self._spares.values():
            spare.sock.close()
        self._spares.clear()


def _wait(sock: _socket.socket, kind: Kind) -> NoReturn:
    """Enter the namespaces, and as their process 1 wait for the order to become a holder."""
    try:
        enter(kind)
        if fork_first(sock):
            settle(network=kind[1])
            received = protocol.receive_request(sock)
            sock.close()
            if received is not None:
                config: SpareOrder = received[0]
                fds = received[1]
                become_holder(
                    _socket.socket(fileno=fds[0]), config, dict(zip(config["trees"], fds[1:], strict=True))
                )
    except OSError as error:
        protocol.send_reply(sock, errno=error.errno or 1)
    finally:
        os._exit(0)


def become_holder(sock: _socket.socket, config: HolderOrder, trees: dict[str, int]) -> NoReturn:
    """As process 1, open what an ordinary user may only open inside, and serve."""
    try:
        trees = trees or open_trees(config, {})
    except OSError as error:
        text = f"open the sandbox's paths: {error}"
        protocol.send_reply(sock, errno=error.errno or 1, payload=text.encode("utf-8", "surrogateescape"))
        os._exit(1)
    serve(sock, config, trees)


def write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
