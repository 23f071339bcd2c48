"""Workers: run expansions, at most `workers` at once; one that an earlier process finished is recalled."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ...tools.errors import BudgetExceeded, CredentialsError, ModelError, RecordError, SandboxError
from ..record.decisions import RolledOut
from .config import SearchConfig
from .node import Rollout, Status
from .recorded import rollout_from, rollout_to
from .request import Expand, ExpandRequest, Record


class Workers:
    """Owns the tasks of a search; `cancel` ends them all."""

    def __init__(self, expand: Expand, config: SearchConfig, record: Record) -> None:
        self._expand, self._config, self._record = expand, config, record
        self._slots = asyncio.Semaphore(config.workers)
        self._closed = False
        self._tasks: dict[str, asyncio.Task[Rollout]] = {}

    def start(self, request: ExpandRequest) -> None:
        self._tasks[request.node] = asyncio.create_task(self._run(request), name=f"rollout {request.node}")

    async def result(self, request: ExpandRequest) -> Rollout:
        """Wait for one rollout. Raises what its function raised."""
        # Shielded: cancelling the search must not free this rollout's slot for another before `cancel`.
        return await asyncio.shield(self._tasks[request.node])

    async def cancel(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, request: ExpandRequest) -> Rollout:
        async with self._slots:
            if self._closed:  # the slot came free because others were cancelled
                raise asyncio.CancelledError
            known = self._record.recall(RolledOut, request.node)
            if known is not None:
                if known.seed != self._config.seed:
                    raise RecordError(
                        f"the recorded search has seed {known.seed}, this one {self._config.seed}: use the same"
                    )
                return rollout_from(known.result)
            rollout = await self._rollout(request)
            if rollout.status is not Status.INFRASTRUCTURE:
                self._record.append(
                    RolledOut(node=request.node, seed=self._config.seed, result=rollout_to(rollout))
                )
            return rollout

    async def _rollout(self, request: ExpandRequest) -> Rollout:
        """Expand, and again where the infrastructure failed. A fatal error of the caller's is not retried."""
        attempt = 0
        while True:
            try:
                rollout = await self._expand(replace(request, attempt=attempt))
            except BudgetExceeded as error:
                return Rollout(Status.LIMIT, error=str(error))
            except CredentialsError:
                raise
            except (SandboxError, ModelError) as error:
                rollout = Rollout(Status.INFRASTRUCTURE, error=str(error))
            if rollout.status is not Status.INFRASTRUCTURE or attempt >= self._config.retries:
                return rollout
            attempt += 1
