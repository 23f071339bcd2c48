"""Pool: forks workers from the process that collected the tests, deals out jobs, buries the dead."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from .suite import wall_of
from .worker import kill_group

if TYPE_CHECKING:
    from .shapes import Job, JobAnswer

_REFORK = 400
"""Candidates after which a reused worker is replaced, against slowly collected state."""


class _Slot:
    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link
        self.job: Job | None = None
        self.deadline = 0.0
        self.done = 0


class Pool:
    """`spawn` is called in a forked child with its end of a socket pair and must not return."""

    def __init__(self, spawn: Callable[[socket.socket], None], size: int, reap: Callable[[], None]) -> None:
        self.spawn = spawn
        self.size = size
        self.reap = reap
        self.slots: list[_Slot] = []
        self.forks = 0
        self.deaths = 0

    def _fork(self) -> _Slot:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        pid = os.fork()
        if pid == 0:
            ours.close()
            for slot in self.slots:
                slot.link.close()
            try:
                self.spawn(theirs)
            finally:
                os._exit(1)
        theirs.close()
        self.forks += 1
        return _Slot(pid, ours)

    def _bury(self, slot: _Slot) -> None:
        kill_group(slot.pid)
        slot.link.close()
        try:
            os.waitpid(slot.pid, 0)
        except ChildProcessError:
            pass
        self.reap()
        if slot in self.slots:
            self.slots.remove(slot)

    def map(self, jobs: Iterator[Job], deadline: float) -> Iterator[tuple[Job, JobAnswer]]:
        """Answers as they come (not in order), until the jobs or the time run out."""
        exhausted = False
        while True:
            now = time.monotonic()
            if now >= deadline:
                return
            while not exhausted and sum(1 for s in self.slots if s.job) < self.size:
                job = next(jobs, None)
                if job is None:
                    exhausted = True
                    break
                self._give(job)
            busy = [slot for slot in self.slots if slot.job]
            if not busy:
                if exhausted:
                    return
                continue
            wait = max(0.0, min([deadline] + [slot.deadline for slot in busy]) - now)
            ready, _, _ = select.select([slot.link for slot in busy], [], [], min(wait, 1.0))
            now = time.monotonic()
            for slot in busy:
                job = slot.job
                assert job is not None
                if slot.link in ready:
                    answer = self._receive(slot)
                    if answer is None or answer.get("id") != job["id"] or "status" not in answer:
                        self.deaths += 1
                        self._bury(slot)
                        yield job, {"id": job["id"], "status": "crash"}
                        continue
                    slot.job = None
                    slot.done += 1
                    if slot.done >= _REFORK or answer["status"] == "timeout":
                        self._bury(slot)
                    yield job, answer
                elif now >= slot.deadline:
                    self.deaths += 1
                    self._bury(slot)
                    yield job, {"id": job["id"], "status": "hung"}

    def _give(self, job: Job) -> None:
        slot = next((s for s in self.slots if not s.job), None)
        if slot is None:
            slot = self._fork()
            self.slots.append(slot)
        slot.job = job
        slot.deadline = time.monotonic() + wall_of(job["limit"]) + job["limit"] + 5.0
        try:
            slot.link.send(json.dumps(job).encode())
        except OSError:
            slot.deadline = 0.0  # dead before it got the job; the loop reports it

    @staticmethod
    def _receive(slot: _Slot) -> JobAnswer | None:
        try:
            data = slot.link.recv(1 << 22)
            answer = json.loads(data) if data else None
        except (OSError, ValueError):
            return None
        return cast("JobAnswer", answer) if isinstance(answer, dict) else None

    def restart(self) -> None:
        """Replace every worker."""
        for slot in list(self.slots):
            self._bury(slot)

    close = restart
