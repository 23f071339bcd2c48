"""RayExecutor: the same jobs on a Ray cluster (extra `ray`), one task per instance.

A task asks for its CPUs and memory; Ray starts it again when its worker process or node is lost
(`max_retries`), and what an attempt left in the output directory, which all nodes share, is gone on
with. Progress stays on the node; outcomes come back as soon as each is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from ...tools.errors import UsageError
from ...tools.extras import install_command
from .job import Job, JobOutcome
from .local import ProgressFn

_LOST_RETRIES = 3


def remote_job(data: Mapping[str, Any]) -> dict[str, object]:
    """The body of a task. Runs in a worker process of the cluster."""
    from .worker import run_job

    return asyncio.run(run_job(Job.from_json(data), lambda fields: None)).to_json()


class RayExecutor:
    """Jobs as Ray tasks."""

    def __init__(
        self,
        address: str | None,
        *,
        cpus: float = 1.0,
        memory_gb: float | None = None,
        workers: int | None = None,
    ) -> None:
        """Connect to `address` (or RAY_ADDRESS), else start a local cluster that has room for `workers` tasks.
        Raises: UsageError when ray is missing or the cluster does not answer."""
        try:
            import ray
        except ImportError as error:
            raise UsageError(f"--executor ray needs the extra: {install_command('ray')}") from error
        self._ray: Any = ray
        self._refs: dict[str, Any] = {}
        self._stopping = False
        self._own = not ray.is_initialized()
        if self._own:
            wanted = address or os.environ.get("RAY_ADDRESS")
            options: dict[str, Any] = (
                {"address": wanted}
                if wanted
                else {
                    "num_cpus": max(1, round((workers or 1) * cpus)),
                    "include_dashboard": False,
                }
            )
            # workers find this package, and whatever module holds a job's entry, where this process does
            path = os.pathsep.join(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
            try:
                ray.init(
                    **options,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={"env_vars": {"PYTHONPATH": path}} if path else None,
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UsageError(
                    f"the Ray cluster does not answer: {' '.join(str(error).split())[:200]}"
                ) from error
        resources: dict[str, Any] = {"num_cpus": cpus, "max_retries": _LOST_RETRIES}
        if memory_gb is not None:
            resources["memory"] = int(memory_gb * (1 << 30))
        self._task = ray.remote(**resources)(remote_job)

    async def run(self, job: Job, on_progress: ProgressFn) -> JobOutcome:
        """A task that is lost for good after Ray's own retries is an infrastructure failure."""
        if self._stopping:
            return JobOutcome(job.id, "interrupted", "interrupted")
        ref = self._task.remote(job.to_json())
        self._refs[job.id] = ref
        on_progress(job.id, {"doing": "on the cluster"})
        errors = self._ray.exceptions
        try:
            return JobOutcome.from_json(await ref)
        except (errors.TaskCancelledError, asyncio.CancelledError):
            return JobOutcome(job.id, "interrupted", "interrupted")
        except errors.RayError as error:
            kind = "interrupted" if self._stopping else "infrastructure"
            text = " ".join(str(error).split())[:300]
            return JobOutcome(job.id, kind, "interrupted" if self._stopping else "worker_lost", text)
        finally:
            self._refs.pop(job.id, None)

    async def stop(self, grace_s: float) -> None:
        """Cancel what runs, then leave the cluster (and end it when it was started here)."""
        if self._stopping and not self._refs:
            return
        self._stopping = True
        for ref in list(self._refs.values()):
            with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
                self._ray.cancel(ref, force=False)
        deadline = asyncio.get_running_loop().time() + grace_s
        while self._refs and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        self.kill()
        if self._own and self._ray.is_initialized():
            await asyncio.to_thread(self._ray.shutdown)

    def kill(self) -> None:
        self._stopping = True
        for ref in list(self._refs.values()):
            with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
                self._ray.cancel(ref, force=True)
