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
from typing import Any, NoReturn

from . import cgroup, kernel, protocol
from .cgroup import Cgroup
from .cgroup_place import CgroupPlace
from .launcher import Launcher
from .mounts import open_trees
from .serve import serve, settle

INNER_ID = 1000
_START_S = 1.0
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
    step = "make the processes of the sandbox the first to go when memory runs out"
    try:
        # Before root is given up: what a privileged process sets is also the least that its children may set.
        write("/proc/self/oom_score_adj", "500")
        step = "give up root"
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        step = "unshare"
        outer_uid, outer_gid = os.geteuid(), os.getegid()
        kernel.unshare(_NAMESPACES | (0 if network else kernel.CLONE_NEWNET))
        step = "map the user"
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{INNER_ID} {outer_uid} 1")
        write("/proc/self/gid_map", f"{INNER_ID} {outer_gid} 1")
    except OSError as error:
        raise StepError(error.errno, f"{step}: {error.strerror}") from error


def fork_first(sock: _socket.socket, group: Cgroup | None) -> bool:
    """Fork process 1 of the new pid namespace: True there. Here, its pid, the folders of its control group and a
    descriptor of the process go to `sock`."""
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        return True
    folders = "\0".join(group.folders if group else ()).encode("utf-8", "surrogateescape")
    protocol.send_reply(sock, pid, payload=folders, fds=(os.pidfd_open(pid),))
    return False


@dataclass(slots=True)
class Spare:
    """A process 1 that waits on the other end of `sock`."""

    kind: Kind
    sock: _socket.socket

    def hand_over(self, config: dict[str, Any], sock: _socket.socket, trees: dict[str, int]) -> bool:
        """Let it become the holder that serves `sock`. False when it did not start or is gone."""
        try:
            started = protocol.receive_reply(self.sock)
            if started is None or started[1]:
                return False
            pid, folders, fds = started[0], started[4], started[5]
            try:
                if folders:
                    bound_group(folders, config)
                order = {**config, "trees": list(trees)}
                protocol.send_request(self.sock, order, (sock.fileno(), *trees.values()))
                protocol.send_reply(sock, pid, payload=folders, fds=(fds[0],))
            finally:
                for fd in fds:
                    os.close(fd)
        except OSError:
            return False
        return True

    def end(self) -> list[str]:
        """Let it end; the folders of its control group."""
        try:
            self.sock.settimeout(_START_S)
            started = protocol.receive_reply(self.sock)
        except OSError:
            started = None
        self.sock.close()
        for fd in started[5] if started else ():
            os.close(fd)
        return _folders(started[4]) if started and not started[1] else []


class Spares:
    """At most one spare of each kind that was asked for."""

    def __init__(self, place: CgroupPlace | None) -> None:
        self._place = place
        self._spares: dict[Kind, Spare] = {}
        self._wanted: set[Kind] = set()
        self._graves: list[list[str]] = []
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
        self._graves = [folders for folders in self._graves if not cgroup.remove(folders, rounds=1)]
        for kind in self._wanted - self._spares.keys():
            ours, theirs = _socket.socketpair()
            pid = os.fork()
            if pid == 0:
                inherited.close()
                self.leave()
                ours.close()
                _wait(theirs, kind, self._place)
            theirs.close()
            self._spares[kind] = Spare(kind, ours)

    def retire(self) -> None:
        """Keep none until the next request."""
        self.drop()
        self._wanted.clear()

    def leave(self) -> None:
        """In a forked child: keep nothing of them."""
        for spare in self._spares.values():
            spare.sock.close()
        self._spares.clear()
        os.close(self._mounts)

    def drop(self) -> None:
        """Let go of all spares: each ends when its socket closes, and leaves its control group to us."""
        for spare in self._spares.values():
            if folders := spare.end():
                self._graves.append(folders)
        self._spares.clear()


def _wait(sock: _socket.socket, kind: Kind, place: CgroupPlace | None) -> NoReturn:
    """Enter the namespaces, and as their process 1 wait for the order to become a holder."""
    try:
        group = place.make() if place else None
        enter(kind)
        if fork_first(sock, group):
            launcher = Launcher(group)
            launcher.start()
            settle(network=kind[1])
            received = protocol.receive_request(sock)
            sock.close()
            if received is not None:
                config, fds = received
                trees = dict(zip(config["trees"], fds[1:], strict=True))
                become_holder(_socket.socket(fileno=fds[0]), config, trees, launcher)
    except OSError as error:
        protocol.send_reply(sock, errno=error.errno or 1)
    finally:
        os._exit(0)


def become_holder(
    sock: _socket.socket, config: dict[str, Any], trees: dict[str, int], launcher: Launcher
) -> NoReturn:
    """As process 1, open what an ordinary user may only open inside, and serve."""
    try:
        trees = trees or open_trees(config, {})
    except OSError as error:
        text = f"open the sandbox's paths: {error}"
        protocol.send_reply(sock, errno=error.errno or 1, payload=text.encode("utf-8", "surrogateescape"))
        os._exit(1)
    serve(sock, config, trees, launcher)


def bound_group(folders: bytes, config: dict[str, Any]) -> None:
    """Put a sandbox's limits on its control group, whose folders are as `fork_first` tells them."""
    cgroup.bound(_folders(folders), config["limits"], disk_in_memory=config["disk_in_memory"])


def _folders(told: bytes) -> list[str]:
    return told.decode("utf-8", "surrogateescape").split("\0") if told else []


def write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
