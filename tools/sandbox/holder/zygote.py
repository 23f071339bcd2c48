"""The zygote: a small single-threaded process that forks one holder per request.

Starting an interpreter costs more than a whole fork may; forking this one costs half a millisecond and
shares its memory with every holder. It ends when the product's end of its socket is closed.
"""

from __future__ import annotations

import _socket
import os
import select
import signal
from typing import Any, NoReturn

from . import kernel, protocol
from .mounts import open_trees
from .serve import serve

INNER_ID = 1000
_NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


def main(descriptor: int) -> None:
    """Serve requests on the inherited socket `descriptor`. Each comes with the socket of its holder."""
    sock = _socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C in the terminal is the product's to handle
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    os.chdir("/")
    idmaps: dict[tuple[int, int], int] = {}
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        # Holders end whenever their owner closes them; the timeout only bounds how long they stay zombies.
        if not poll.poll(1000):
            _reap()
            continue
        received = protocol.receive_request(sock)
        if received is None:
            return
        config, fds = received
        if config["uid"] is not None:
            for owner in config["owners"]:
                if owner not in idmaps:
                    _make_idmap(idmaps, owner, config["uid"])
        pid = os.fork()
        if pid == 0:
            sock.close()
            _start_holder(_socket.socket(fileno=fds[0]), config, idmaps)
        os.close(fds[0])
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _start_holder(
    sock: _socket.socket, config: dict[str, Any], idmaps: dict[tuple[int, int], int]
) -> NoReturn:
    """Enter new namespaces and fork their process 1. Replies with an error itself when it cannot."""
    step = "open the sandbox's paths"
    try:
        trees: dict[str, int] = {}
        if config["uid"] is not None:
            trees = open_trees(config, idmaps)
            step = "give up root"
            os.setgroups([])
            os.setresgid(config["uid"], config["uid"], config["uid"])
            os.setresuid(config["uid"], config["uid"], config["uid"])
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        step = "make the processes of the sandbox the first to go when memory runs out"
        _write("/proc/self/oom_score_adj", "500")
        step = "unshare"
        uid, gid = os.geteuid(), os.getegid()
        kernel.unshare(_NAMESPACES | (0 if config["network"] else kernel.CLONE_NEWNET))
        step = "map the user"
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{INNER_ID} {uid} 1")
        _write("/proc/self/gid_map", f"{INNER_ID} {gid} 1")
        if not trees:
            step = "open the sandbox's paths"
            trees = open_trees(config, {})
        step = "fork"
        pid = os.fork()
        if pid == 0:
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            serve(sock, config, trees)
        pidfd = os.pidfd_open(pid)
        protocol.send_reply(sock, pid, fds=(pidfd,))
    except Exception as error:  # whatever it is, the product must hear of it: nobody else can
        text = f"{step}: {error}"
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
            _write(f"/proc/{pid}/uid_map", f"{uid} {target} 1")
            _write(f"/proc/{pid}/gid_map", f"{gid} {target} 1")
            idmaps[owner] = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        pass  # files of this owner are then seen with their own permissions
    finally:
        os.close(ready_read)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
