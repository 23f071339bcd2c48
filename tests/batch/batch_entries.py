"""Entries for the worker: jobs that need no model and no repository."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from swe_agent.orchestrator.batch.job import Job, JobOutcome


def knobs(job: Job) -> dict[str, Any]:
    """What a test wants to happen: `knobs.json` in the batch's directory."""
    path = Path(job.directory).parents[1] / "knobs.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _patch(job: Job) -> str:
    return f"diff --git a/{job.id} b/{job.id}\n"


def _count(job: Job) -> int:
    """How often this job was begun, over all processes."""
    path = Path(job.directory) / "begun"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("x")
    return len(path.read_text())


def _finished(job: Job, patch: str | None = None) -> JobOutcome:
    text = _patch(job) if patch is None else patch
    with (Path(job.directory) / "done").open("a") as file:
        file.write("x")
    return JobOutcome(
        job.id,
        "finished",
        "verified" if text else "no_patch",
        exit_code=0 if text else 3,
        patch=text,
        model="trivial",
        cost_usd=0.25,
        tokens=10,
        steps=1,
        seconds=0.0,
    )


async def trivial(job: Job, progress: Any) -> JobOutcome:
    _count(job)
    progress({"doing": "nothing"})
    return _finished(job)


async def slow(job: Job, progress: Any) -> JobOutcome:
    _count(job)
    await asyncio.sleep(float(knobs(job).get("seconds", 1.0)))
    return _finished(job)


async def faulty(job: Job, progress: Any) -> JobOutcome:
    """What goes wrong stands in the knobs, by instance and attempt."""
    begun = _count(job)
    faults = knobs(job)["faults"].get(job.id, [])
    fault = faults[begun - 1] if begun <= len(faults) else None
    match fault:
        case "model":
            return JobOutcome(job.id, "infrastructure", "model", "the endpoint is gone")
        case "raise":
            raise RuntimeError("a bug")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        case "credentials":
            return JobOutcome(job.id, "fatal", "credentials", "the key was refused")
        case "slow":
            await asyncio.to_thread(time.sleep, 3600)  # a test run: nothing cancels a thread
        case "empty":
            return _finished(job, "")
    await asyncio.sleep(float(knobs(job).get("seconds", 0.0)))
    return _finished(job)


async def kill_once(job: Job, progress: Any) -> JobOutcome:
    """The first to see the marker missing kills its own process."""
    _count(job)
    if job.id == knobs(job)["victim"]:
        try:
            Path(knobs(job)["marker"]).open("x").close()
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return _finished(job)
