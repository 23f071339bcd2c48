"""The holder: process 1 of one fork's namespaces. It keeps the view alive and serves requests."""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import signal
import struct
from typing import Any, NoReturn

from . import kernel, protocol
from .commands import Disconnected, run_command
from .files import Unprivileged, open_to_read, write_file
from .held import bound_sockets, remove_segments
from .launcher import Launcher
from .limits import Watch, bound_pids
from .mounts import View
from .processes import Processes

_SESSION_CHECK_MS = 200


def serve(
    sock: _socket.socket, config: dict[str, Any], trees: dict[str, int], launcher: Launcher
) -> NoReturn:
    """Build the view, say so, and answer until the other end of the socket is gone."""
    view = View(config)
    try:
        view.build(config, trees)
        bound_pids(config["limits"]["processes"])
        if not config["network"]:
            bound_sockets()
    except Exception as error:  # whatever it is, the product must hear of it: nobody else can
        _refuse(sock, error)
        os._exit(1)
    for tree in trees.values():
        try:
            os.close(tree)
        except OSError:
            pass  # a bind inside an overlay is closed where it is attached
    # Commands must not read this process's memory or descriptors through /proc, nor signal it: process 1
    # ignores every signal from its own namespace that it has no handler for.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    shell = b"bash" if os.path.exists("/bin/bash") else b"sh"
    protocol.send_reply(sock, payload=shell)
    holder = _Holder(sock, view, {**config["limits"], "network": config["network"]}, launcher)
    try:
        while holder.serve_one():
            pass
    except (Disconnected, ConnectionError):
        pass
    finally:
        os._exit(0)


def settle(*, network: bool) -> None:
    """What new namespaces need before anything runs in them. Raises: OSError."""
    if not network:
        _raise_loopback()
    _socket.sethostname("sandbox")


class _Holder:
    def __init__(self, sock: _socket.socket, view: View, limits: dict[str, Any], launcher: Launcher) -> None:
        self._sock = sock
        self._view = view
        self._limits = limits
        group = launcher.group
        self._launcher = launcher
        self._watch = Watch(limits, view.usage, group.oom_kills) if group else Watch(limits, view.usage)
        self._processes = Processes(launcher)
        self._unprivileged = Unprivileged(kernel.permitted_capabilities())

    def serve_one(self) -> bool:
        self._watch_sessions()
        received = protocol.receive_request(self._sock)
        if received is None:
            return False
        request, fds = received
        try:
            self._answer(request, fds)
        except (OSError, MemoryError) as error:
            if isinstance(error, ConnectionError):
                raise
            _refuse(self._sock, error)
        finally:
            for fd in fds:
                os.close(fd)
        try:
            self._launcher.start()
        except OSError:
            pass  # the next command tries again, and says so
        return True

    def _watch_sessions(self) -> None:
        """While sessions are open, keep them within the limits until the next request arrives."""
        if not self._processes.sessions:
            return
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        self._watch.begin()
        while self._processes.sessions and not poll.poll(_SESSION_CHECK_MS):
            if self._watch.check() is not None:
                self._processes.end_sessions()
                remove_segments()

    def _answer(self, request: dict[str, Any], fds: list[int]) -> None:
        operation = request["op"]
        if operation == "exec":
            request["limits"] = self._limits
            run_command(self._sock, request, fds[0] if fds else None, self._watch, self._processes)
        elif operation == "session":
            request["limits"] = self._limits
            leader = self._processes.start_session(request, fds[0], fds[1], self._watch.over_disk)
            protocol.send_reply(self._sock, leader)
        elif operation == "end_session":
            self._processes.end_session(request["leader"])
            protocol.send_reply(self._sock)
        elif operation == "read":
            with self._unprivileged:
                descriptor = open_to_read(request["path"])
            try:
                protocol.send_reply(self._sock, fds=(descriptor,))
            finally:
                os.close(descriptor)
        elif operation == "write":
            if self._watch.over_disk and self._watch.measure_disk():
                raise OSError(122, "the disk limit of this sandbox is used up", request["path"])
            with self._unprivileged:
                write_file(request["path"], fds[0], request["size"], self._limits["file_bytes"])
            protocol.send_reply(self._sock)
        elif operation == "group":
            protocol.send_reply(self._sock, self._launcher.version())
        elif operation == "freeze":
            repo, private = self._view.dirty()
            if repo or private:
                # A session would go on writing through the directory it is in, below the new layer.
                self._processes.end_sessions()
                self._view.freeze(request["layer"], repo, private)
            flags = protocol.DIRTY_REPO * repo | protocol.DIRTY_PRIVATE * private
            protocol.send_reply(self._sock, self._view.mode, flags=flags)


def _refuse(sock: _socket.socket, error: BaseException) -> None:
    number = getattr(error, "errno", None) or 12
    what = getattr(error, "filename", None)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = f"{what}: {reason}" if what else reason
    protocol.send_reply(sock, errno=number, payload=text.encode("utf-8", "surrogateescape"))


def _raise_loopback() -> None:
    """Bring `lo` up in the new network namespace (SIOCSIFFLAGS, netdevice(7))."""
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        fcntl.ioctl(sock.fileno(), 0x8914, struct.pack("16sH22x", b"lo", 0x41))
    finally:
        sock.close()
