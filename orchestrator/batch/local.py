"""LocalExecutor: jobs on worker processes of this machine.

A worker that dies loses its own jobs alone, and those are infrastructure failures: they are done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .job import Doing, Job, JobOutcome
from .state import is_disk_full

ProgressFn = Callable[[str, Doing], None]
"""(instance id, how far it is)."""


class Executor(Protocol):
    """Where jobs run. `run` never raises for what a job does; a lost worker is an outcome."""

    async def run(self, job: Job, on_progress: ProgressFn) -> JobOutcome: ...

    async def stop(self, grace_s: float) -> None:
        """Ask running jobs to stop, wait up to `grace_s` seconds, then kill. Idempotent."""
        ...

    def kill(self) -> None:
        """Kill everything at once."""
        ...


class _Worker:
    """One process and the jobs in it."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.log = log
        self.jobs: dict[str, asyncio.Future[JobOutcome]] = {}
        self.progress: dict[str, ProgressFn] = {}
        self.served = 0
        self.reader: asyncio.Task[None] | None = None

    async def read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            try:
                message = json.loads(line)
                event, name = message.pop("event"), message["id"]
                outcome = JobOutcome.from_json(message) if event == "outcome" else None
            except (ValueError, KeyError, TypeError, AttributeError):
                # something in the worker printed to its channel: its jobs are done again elsewhere
                self._kill()
                break
            if outcome is None:
                if name in self.progress:
                    self.progress[name](name, message)
            elif (future := self.jobs.pop(name, None)) is not None and not future.done():
                future.set_result(outcome)
        code = await self.process.wait()
        said = self.log.exists() and self.log.stat().st_size > 0
        if not said:
            self.log.unlink(missing_ok=True)
        for name, future in self.jobs.items():
            if not future.done():
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                where = f"its messages are in {self.log}" if said else "it said nothing"
                detail = f"the worker process ended ({how}); {where}"
                future.set_result(JobOutcome(name, "infrastructure", "worker_lost", detail))
        self.jobs.clear()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


class LocalExecutor:
    """Up to `processes` worker processes with `per_process` jobs at once in each."""

    def __init__(self, logs: Path, *, processes: int, per_process: int = 1, recycle: int = 64) -> None:
        self._logs = logs
        self._processes = processes
        self._per_process = per_process
        self._recycle = recycle
        self._workers: list[_Worker] = []
        self._slots = asyncio.Semaphore(processes * per_process)
        self._spawning = asyncio.Lock()
        self._count = 0
        self._stopping = False

    @property
    def pids(self) -> list[int]:
        return [worker.process.pid for worker in self._workers if worker.process.returncode is None]

    async def run(self, job: Job, on_progress: ProgressFn) -> JobOutcome:
        async with self._slots:
            try:
                worker = await self._worker()
            except OSError as error:  # no room for its log, no process to be had
                reason = "disk_full" if is_disk_full(error) else "worker_lost"
                return JobOutcome(job.id, "infrastructure", reason, f"a worker cannot be started: {error}")
            if worker is None:
                return JobOutcome(job.id, "interrupted", "interrupted")
            future: asyncio.Future[JobOutcome] = asyncio.get_running_loop().create_future()
            worker.jobs[job.id] = future
            worker.progress[job.id] = on_progress
            worker.served += 1
            assert worker.process.stdin is not None
            with contextlib.suppress(
                ConnectionError, RuntimeError
            ):  # a dead worker answers through its reader
                worker.process.stdin.write(json.dumps({"do": "run", "job": job.to_json()}).encode() + b"\n")
                await worker.process.stdin.drain()
            try:
                return await future
            finally:
                worker.progress.pop(job.id, None)
                self._retire(worker)

    async def _worker(self) -> _Worker | None:
        """The least busy one; None when the executor is stopping."""
        async with self._spawning:
            if self._stopping:
                return None
            self._workers = [item for item in self._workers if item.process.returncode is None]
            usable = [item for item in self._workers if item.served < self._recycle and _open(item)]
            if len(usable) < self._processes and all(item.jobs for item in usable):
                usable.append(await self._spawn())
                if self._stopping:  # `stop` did not know of the worker that was starting
                    self.kill()
                    return None
            return min(usable, key=lambda item: len(item.jobs))

    async def _spawn(self) -> _Worker:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._count += 1
        log = self._logs / f"worker-{os.getpid()}-{self._count}.log"
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"{__package__}.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=sink,
                limit=1 << 30,
                start_new_session=True,  # ^C of the terminal is the parent's business
            )
        worker = _Worker(process, log)
        worker.reader = asyncio.create_task(worker.read())
        self._workers.append(worker)
        return worker

    def _retire(self, worker: _Worker) -> None:
        """A worker that has served long enough ends when it is idle."""
        if worker.served >= self._recycle and not worker.jobs and worker.process.stdin is not None:
            worker.process.stdin.close()

    async def stop(self, grace_s: float) -> None:
        self._stopping = True
        live = [worker for worker in self._workers if worker.process.returncode is None]
        for worker in live:
            with contextlib.suppress(ConnectionError, RuntimeError):
                assert worker.process.stdin is not None
                worker.process.stdin.write(b'{"do":"stop"}\n')
                worker.process.stdin.close()
        readers = [worker.reader for worker in live if worker.reader is not None]
        if readers:
            await asyncio.wait(readers, timeout=grace_s)
        self.kill()
        if readers:
            await asyncio.wait(readers, timeout=5)

    def kill(self) -> None:
        self._stopping = True
        for worker in self._workers:
            if worker.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(worker.process.pid, signal.SIGKILL)


def _open(worker: _Worker) -> bool:
    return worker.process.stdin is not None and not worker.process.stdin.is_closing()
