"""Worker: a process that works on jobs, several at once if told so.

Jobs come as JSON lines on standard input, progress and outcomes go back as JSON lines on what was
standard output; anything that code prints goes to standard error. When the parent is gone (end of
input) or says stop, running jobs are cancelled, which closes their sandboxes, and the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module

from ...agents.models.imports import install
from .job import Doing, Job, JobOutcome
from .state import is_disk_full

_COLLECT_AFTER = (10_000, 20, 50)
"""Python's own (700, 10, 10) walks the living messages of hundreds of trajectories again and again: half of the
CPU time of a process with 256 of them."""

ProgressFn = Callable[[Doing], None]


def spare_collector() -> None:
    """Collect garbage seldom, and never look again at what is loaded by now. Called after the first job, when
    the modules that jobs need are there."""
    gc.set_threshold(*_COLLECT_AFTER)
    gc.collect()
    gc.freeze()


async def run_job(job: Job, progress: ProgressFn) -> JobOutcome:
    """Run a job to an outcome. Whatever the entry raises becomes an outcome of kind infrastructure: a bug
    is no prediction either. asyncio.CancelledError passes."""
    started = time.monotonic()
    try:
        module, _, name = job.entry.partition(":")
        return await getattr(import_module(module), name)(job, progress)
    except asyncio.CancelledError:
        raise
    # the boundary of a worker: one instance must not take the others with it
    except Exception as error:
        if not is_disk_full(error):
            with contextlib.suppress(OSError):  # a log that cannot be written must not cost the outcome
                traceback.print_exc()
        reason = "disk_full" if is_disk_full(error) else "crash"
        detail = f"{type(error).__name__}: {error}"
        return JobOutcome(
            job.id, "infrastructure", reason, detail, seconds=round(time.monotonic() - started, 3)
        )


async def serve(source: int, sink: int) -> None:
    """Serve until told to stop or the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 30)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(source, "rb"))
    tasks: dict[str, asyncio.Task[None]] = {}
    out = os.fdopen(sink, "wb", buffering=0)

    def send(message: Mapping[str, object]) -> None:
        try:
            data = json.dumps(message, ensure_ascii=True).encode() + b"\n"
            view = memoryview(data)
            while view:
                view = view[out.write(view) or 0 :]
        except OSError:  # the parent is gone; the end of the input says so too
            pass

    async def work(job: Job) -> None:
        def progress(fields: Doing) -> None:
            loop.call_soon_threadsafe(send, {"event": "progress", "id": job.id, **fields})

        try:
            outcome = await run_job(job, progress)
        except asyncio.CancelledError:
            outcome = JobOutcome(job.id, "interrupted", "interrupted")
        send({"event": "outcome", **outcome.to_json()})
        tasks.pop(job.id, None)
        if gc.get_threshold() != _COLLECT_AFTER:
            spare_collector()

    while line := await reader.readline():
        message = json.loads(line)
        if message["do"] == "stop":
            break
        job = Job.from_json(message["job"])
        tasks[job.id] = asyncio.create_task(work(job))
    running = list(tasks.values())
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def main() -> None:
    install()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for inherited in (source, sink):
        os.set_inheritable(inherited, False)
    sys.stdout = sys.stderr
    asyncio.run(_to_the_end(source, sink))


async def _to_the_end(source: int, sink: int) -> None:
    await serve(source, sink)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # Leaving the loop would wait for threads in the middle of a test run; sandboxes die with this process.
    os._exit(0)


if __name__ == "__main__":
    main()
