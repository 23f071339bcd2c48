"""The processes of one holder: starting one behind the walls, and leaving nothing of it.

A session is a process that outlives commands. Its leader is a subreaper, so whatever the session starts
stays below it in the process tree, and everything else is a command's.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from . import kernel
from .held import read_file
from .limits import apply_to_command

if TYPE_CHECKING:
    from .orders import BoundCommand

_ROUNDS = 100
_PATIENCE_S = 5.0


def become(
    request: BoundCommand, stdin: int | None, out: int, over_disk: bool, report: int | None = None
) -> NoReturn:
    """Called in a forked child: turn into the command of `request`. Never returns.

    Errors go where output goes; with `report`, what the command writes to its standard error is dropped
    and only the reason why it could not start goes to that descriptor.
    """
    argv = request["argv"]
    code = 126
    try:
        os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY) if stdin is None else stdin, 0)
        os.dup2(out, 1)
        os.dup2(out if report is None else os.open("/dev/null", os.O_WRONLY), 2)
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        what = request["cwd"]
        try:
            apply_to_command(request["limits"], over_disk)
            os.chdir(what)
            what = argv[0]
            os.execvpe(what, argv, request["env"])
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            os.write(
                2 if report is None else report, f"{what}: {reason}\n".encode("utf-8", "surrogateescape")
            )
            if what == argv[0] and isinstance(error, FileNotFoundError):
                code = 127
    finally:
        os._exit(code)


class Processes:
    """Everything that runs beside the holder in its pid namespace."""

    def __init__(self) -> None:
        self.sessions: set[int] = set()

    def start_session(self, request: BoundCommand, stdin: int, out: int, over_disk: bool) -> int:
        """Start a session; returns its leader. Raises: OSError when its program cannot be run."""
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        leader = os.fork()
        if leader == 0:
            _lead(lambda: become(request, stdin, out, over_disk, report_write), report_write, (stdin, out))
        os.close(report_write)
        try:
            reason = os.read(report_read, 4096)
        finally:
            os.close(report_read)
        self.sessions.add(leader)
        if reason:
            self.end_session(leader)
            raise OSError(8, reason.decode("utf-8", "replace").strip())
        return leader

    def end_session(self, leader: int) -> None:
        if leader not in self.sessions:
            return
        self.sessions.discard(leader)
        # The leader goes last: until then nothing can leave its part of the tree.
        for _ in range(_ROUNDS):
            below = [pid for pid, top in _tops().items() if top == leader and pid != leader]
            if not below:
                break
            _kill(below)
            time.sleep(0.0005)
        self.sweep()

    def end_sessions(self) -> None:
        self.sessions.clear()
        self.sweep()

    def sweep(self, wanted: int = 0) -> int:
        """Kill and reap everything that is not a session's; the wait status of process `wanted`.

        It may have ended by itself by now: its status was kept for this.
        """
        status = 0
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            if self.sessions and time.monotonic() > deadline:
                self.sessions.clear()  # something breeds faster than it can be told apart
            strangers = self._kill_strangers()
            try:
                while True:
                    ended, result = os.waitpid(-1, os.WNOHANG if self.sessions else 0)
                    if ended == wanted:
                        status, wanted = result, 0
                    if not ended:
                        break
                    self.sessions.discard(ended)
            except ChildProcessError:
                return status
            if not wanted and not strangers:
                return status
            time.sleep(0.0005)  # killed processes take a moment to end

    def _kill_strangers(self) -> bool:
        """Kill whatever is not a session's; whether there was anything."""
        if not self.sessions:
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                pass
            return True
        strangers = [pid for pid, top in _tops().items() if top not in self.sessions]
        _kill(strangers)
        return bool(strangers)


def _lead(start: Callable[[], NoReturn], report: int, others: tuple[int, int]) -> NoReturn:
    """The leader of a session: a parent for all that is started in it, until its first process ends."""
    try:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        first = os.fork()
        if first == 0:
            start()
        for descriptor in (report, *others):
            os.close(descriptor)
        while True:
            ended, _ = os.waitpid(-1, 0)
            if ended == first:
                break
    finally:
        os._exit(0)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _tops() -> dict[int, int]:
    """For each living process but the holder, the holder's child that it descends from."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            stat = read_file(f"/proc/{name}/stat")
            fields = stat[stat.rfind(b")") + 2 :].split()
            if len(fields) > 1 and fields[0] not in (b"Z", b"X"):
                parents[int(name)] = int(fields[1])
    tops: dict[int, int] = {}
    for pid in parents:
        top = pid
        while (above := parents.get(top, 1)) != 1 and above != top:
            top = above
        tops[pid] = top
    return tops
