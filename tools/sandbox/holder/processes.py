"""The processes of one holder: starting one behind the walls, and leaving nothing of it.

A session is a process that outlives commands. Its leader is a subreaper, so whatever the session starts
stays below it in the process tree, and everything else is a command's.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from .held import read_file
from .launcher import Launcher, begin, command_order, session_order

_ROUNDS = 100
_ORPHANS = 1000
"""At one look: who forks without end must not keep the holder from its limits."""
_PATIENCE_S = 5.0
_LOOKS, _LOOK_S = 6, 0.0003


class Processes:
    """Everything that runs beside the holder in its pid namespace."""

    def __init__(self, launcher: Launcher) -> None:
        self.sessions: set[int] = set()
        self._launcher = launcher

    def start_command(self, request: dict[str, Any], stdin: int | None, out: int, over_disk: bool) -> int:
        """Start a command; returns its pid. Raises: OSError when there is no room for a process."""
        fds = (out,) if stdin is None else (out, stdin)
        return self._start(command_order(request, over_disk, stdin is not None), fds)

    def start_session(self, request: dict[str, Any], stdin: int, out: int, over_disk: bool) -> int:
        """Start a session; returns its leader. Raises: OSError when its program cannot be run."""
        report_read, report_write = os.pipe2(os.O_CLOEXEC)
        try:
            leader = self._start(session_order(request, over_disk), (out, stdin, report_write))
        except OSError:
            os.close(report_read)
            raise
        finally:
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

    def _start(self, order: dict[str, Any], fds: tuple[int, ...]) -> int:
        pid = self._launcher.launch(order, fds) or os.fork()
        if pid == 0:
            begin(order, fds)
        return pid

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
        status, wanted, gone = self._reap(wanted)
        if gone:
            return status
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            if self.sessions and time.monotonic() > deadline:
                self.sessions.clear()  # something breeds faster than it can be told apart
            strangers = self._kill_strangers()
            try:
                while True:
                    ended, result = os.waitpid(-1, os.WNOHANG if self.sessions else 0)
                    if not ended:
                        break
                    if ended == wanted:
                        status, wanted = result, 0
                    self._forget(ended)
            except ChildProcessError:
                return status
            if not wanted and not strangers:
                return status
            time.sleep(0.0005)  # killed processes take a moment to end

    def bury_orphans(self, running: int) -> None:
        """Reap what the command left to process 1 and what has ended, lest it counts as processes until the command
        (pid `running`, whose status is kept) is over."""
        for _ in range(_ORPHANS):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid == running:
                return
            os.waitpid(ended.si_pid, 0)
            self._forget(ended.si_pid)

    def _reap(self, wanted: int) -> tuple[int, int, bool]:
        """Reap what has ended: the status of `wanted`, 0 or `wanted` if it lives, and whether the group says that
        nothing is left. To kill everything would kill the launcher too, and the next command would wait for one."""
        status = 0
        for look in range(_LOOKS):
            if self.sessions or not self._launcher.pid:
                break
            if look:
                time.sleep(_LOOK_S)
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == wanted:
                    status, wanted = found[1], 0
                self._forget(found[0])
                if not self._launcher.pid:
                    return status, wanted, False
            if wanted:
                break
            if self._launcher.alone():
                self._launcher.wake()
                return status, 0, True
        return status, wanted, False

    def _forget(self, pid: int) -> None:
        self.sessions.discard(pid)
        self._launcher.forget(pid)

    def _kill_strangers(self) -> bool:
        """Kill whatever is not a session's; whether there was anything."""
        if not self.sessions:
            self._launcher.forget()
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                pass
            return True
        kept = {*self.sessions, self._launcher.pid}
        strangers = [pid for pid, top in _tops().items() if top not in kept]
        _kill(strangers)
        return bool(strangers)


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
