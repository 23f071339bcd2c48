"""Fresh runs: a process forked before anything of the project was imported runs pytest from scratch.

The last word about a candidate inside the engine, and the only one for edits at module or class level.
Payloads go through files in the scratch folder; datagrams carry their names.
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Dict, Mapping

from . import guard
from .suite import wall_of
from .worker import fresh_run, kill_group, quiet

if TYPE_CHECKING:
    from .shapes import FreshJob, SentFreshJob, Traced

Outcomes = Dict[str, str]


def serve(link: socket.socket, controller: int, arguments: list[str], root: str, scratch: str) -> int:
    """Loop of the process that stays pristine; returns the controller's exit status."""
    running: dict[int, tuple[int, float]] = {}
    while True:
        ready, _, _ = select.select([link], [], [], 0.05 if running else 0.25)
        if ready:
            data = link.recv(1 << 16)
            if data:
                number = int(data)
                with open(os.path.join(scratch, f"job{number}.json"), encoding="utf-8") as handle:
                    job = json.load(handle)
                pid = os.fork()
                if pid == 0:
                    _child(link, number, job, arguments, root, scratch)
                running[pid] = (number, time.monotonic() + wall_of(job["limit"]) + job["limit"] + 5.0)
        now = time.monotonic()
        for pid, (number, deadline) in list(running.items()):
            gone, _ = os.waitpid(pid, os.WNOHANG)
            if gone or now > deadline:
                kill_group(pid)
                if not gone:
                    os.waitpid(pid, 0)
                del running[pid]
                _tell(link, number)
        gone, status = os.waitpid(controller, os.WNOHANG)
        if gone:
            for pid in running:
                kill_group(pid)
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1


def _tell(link: socket.socket, number: int) -> None:
    try:
        link.send(str(number).encode())
    except OSError:
        pass  # the controller is gone; the loop ends by itself


def _child(
    link: socket.socket, number: int, job: SentFreshJob, arguments: list[str], root: str, scratch: str
) -> None:
    out: Mapping[str, object] = {}
    try:
        os.setsid()
        link.close()
        quiet()
        guard.limit_process(job["memory"])
        fence = guard.Fence(root, scratch)
        fence.install()
        fence.active = bool(job.get("fence", True))
        if job.get("trace"):
            out = _traced(job, arguments, root)
        else:
            out = fresh_run(arguments, job["arguments"], job["overrides"], root, job["limit"])
        fence.active = False
        path = os.path.join(scratch, f"answer{number}.json")
        with open(path + ".part", "w", encoding="utf-8") as handle:
            json.dump(out, handle)
        os.replace(path + ".part", path)
    finally:
        os._exit(0)


def _traced(job: FreshJob, arguments: list[str], root: str) -> Traced:
    """Localise by tracing a whole run: for tests that cannot even be collected."""
    from .localise import Spectrum, Tracer

    real = {os.path.realpath(os.path.join(root, path)): path for path in job.get("trace", ())}
    names: dict[str, str | None] = {}

    def path_of(filename: str) -> str | None:
        if filename not in names:
            names[filename] = real.get(os.path.realpath(filename))
        return names[filename]

    spectrum = Spectrum()
    tracer = Tracer(path_of, spectrum)
    tracer.start()
    fresh_run(arguments, job["arguments"], {}, root, job["limit"])
    tracer.stop()
    spectrum.failing.append(tracer.lines)
    return spectrum.to_json()


class FreshRuns:
    """The controller's end: run several jobs at once and wait for all."""

    def __init__(self, link: socket.socket, scratch: str, size: int, memory: int) -> None:
        self.memory = memory
        self.link = link
        self.scratch = scratch
        self.size = size
        self.count = 0

    def run(
        self, jobs: Sequence[FreshJob], out_of_time: Callable[[], bool] = lambda: False
    ) -> list[Any | None]:
        """Answers in the order of the jobs; None for a run that crashed, hung or was not started."""
        waiting = list(enumerate(jobs))
        flying: dict[int, int] = {}
        answers: list[Any | None] = [None] * len(jobs)
        while waiting or flying:
            while waiting and len(flying) < self.size and not out_of_time():
                index, job = waiting.pop(0)
                self.count += 1
                with open(
                    os.path.join(self.scratch, f"job{self.count}.json"), "w", encoding="utf-8"
                ) as handle:
                    json.dump({**job, "memory": self.memory}, handle)
                flying[self.count] = index
                self.link.send(str(self.count).encode())
            if not flying:
                break
            number = int(self.link.recv(64))
            index = flying.pop(number, -1)
            path = os.path.join(self.scratch, f"answer{number}.json")
            try:
                with open(path, encoding="utf-8") as handle:
                    if index >= 0:
                        answers[index] = json.load(handle)
                os.unlink(path)
            except (OSError, ValueError):
                pass  # the run left no answer: it crashed or hung
            try:
                os.unlink(os.path.join(self.scratch, f"job{number}.json"))
            except OSError:
                pass
        return answers
