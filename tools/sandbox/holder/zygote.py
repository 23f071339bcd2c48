"""The zygote: a small single-threaded process that forks one holder per request.

Starting an interpreter costs more than a whole fork may; forking this one costs half a millisecond and
shares its memory with every holder. It ends when the product's end of its socket is closed.
"""

from __future__ import annotations

import _socket
import os
import select
import signal
import time
from typing import Any, NoReturn

from . import kernel, protocol
from .cgroup import bound
from .cgroup_place import CgroupPlace, NoPlaceError
from .launcher import Launcher
from .mounts import open_trees
from .serve import settle
from .spare import MOST_TREES, Spares, StepError, become_holder, enter, fork_first, write

_IDLE_MS = 5
"""Nobody waits for a fork any more when no request came for this long."""
_REAP_MS = 1000
_LAST_ROUNDS = 2000
_KEEP_S = 30.0
"""A spare holds on to the mounts of the host: without forks for this long there is none."""


def main(descriptor: int, groups: str, owner: str) -> None:
    """Serve requests on the inherited socket `descriptor`. Each comes with the socket of its holder.

    `groups` and `owner`: where control groups are made, and whose they are (see `CgroupPlace.find`).
    """
    sock = _socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C in the terminal is the product's to handle
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    os.chdir("/")
    idmaps: dict[tuple[int, int], int] = {}
    place = _place(groups, owner)
    spares = Spares(place)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    asked = time.monotonic()
    while True:
        # Holders end whenever their owner closes them; the timeout only bounds how long they stay zombies.
        if not poll.poll(_IDLE_MS if spares.missing else _REAP_MS):
            if time.monotonic() - asked > _KEEP_S:
                spares.retire()
            spares.make(sock)
            _reap()
            continue
        asked = time.monotonic()
        received = protocol.receive_request(sock)
        if received is None:
            spares.drop()
            if place is not None:
                _remove_groups(place)
            return
        config, fds = received
        if config["uid"] is not None:
            for owner in config["owners"]:
                if owner not in idmaps:
                    _make_idmap(idmaps, owner, config["uid"])
        holder = _socket.socket(fileno=fds[0])
        if not _from_spare(spares, holder, config, idmaps):
            pid = os.fork()
            if pid == 0:
                sock.close()
                spares.leave()
                _start_holder(holder, config, idmaps, place)
        holder.close()
        _reap()


def _from_spare(
    spares: Spares, holder: _socket.socket, config: dict[str, Any], idmaps: dict[tuple[int, int], int]
) -> bool:
    """Whether a spare took the request over."""
    spare = spares.take((config["uid"], config["network"]))
    if spare is None:
        return False
    trees: dict[str, int] = {}
    try:
        if config["uid"] is not None:
            trees = open_trees(config, idmaps)
        return len(trees) <= MOST_TREES and spare.hand_over(config, holder, trees)
    except OSError:
        pass  # whoever starts from the beginning meets it again, and says so
    finally:
        spare.sock.close()
        for tree in trees.values():
            os.close(tree)
    return False


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _place(groups: str, owner: str) -> CgroupPlace | None:
    """Where this machine lets us make control groups; what dead owners left there is removed."""
    try:
        place = CgroupPlace.find(groups, owner)
    except NoPlaceError:
        return None
    place.remove_stale()
    return place


def _remove_groups(place: CgroupPlace) -> None:
    """The owner has gone, or will soon, and its sandboxes with it: remove what they leave, without keeping it."""
    if not place.remove_own(1) and os.fork() == 0:
        try:
            place.remove_own(_LAST_ROUNDS)
        finally:
            os._exit(0)


def _start_holder(
    sock: _socket.socket,
    config: dict[str, Any],
    idmaps: dict[tuple[int, int], int],
    place: CgroupPlace | None,
) -> NoReturn:
    """Enter new namespaces and fork their process 1. Replies with an error itself when it cannot."""
    step = "open the sandbox's paths: "
    try:
        trees = open_trees(config, idmaps) if config["uid"] is not None else {}
        step = ""
        group = place.make() if place else None
        if group is not None:
            bound(group.folders, config["limits"], disk_in_memory=config["disk_in_memory"])
        enter((config["uid"], config["network"]))
        step = "fork: "
        if fork_first(sock, group):
            launcher = Launcher(group)
            launcher.start()
            settle(network=config["network"])
            become_holder(sock, config, trees, launcher)
    except Exception as error:  # whatever it is, the product must hear of it: nobody else can
        text = f"{step}{error.strerror if isinstance(error, StepError) else error}"
        number = getattr(error, "errno", None) or 1
        protocol.send_reply(sock, errno=number, payload=text.encode("utf-8", "surrogateescape"))
    finally:
        os._exit(0)


def _make_idmap(idmaps: dict[tuple[int, int], int], owner: tuple[int, int], target: int) -> None:
    """A user namespace whose only use is to show files of `owner` as files of `target`."""
    uid, gid = owner
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ready_read)
            kernel.unshare(kernel.CLONE_NEWUSER)
            os.write(ready_write, b"1")
            signal.pause()
        finally:
            os._exit(0)
    os.close(ready_write)
    try:
        if os.read(ready_read, 1) == b"1":
            write(f"/proc/{pid}/uid_map", f"{uid} {target} 1")
            write(f"/proc/{pid}/gid_map", f"{gid} {target} 1")
            idmaps[owner] = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        pass  # files of this owner are then seen with their own permissions
    finally:
        os.close(ready_read)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
