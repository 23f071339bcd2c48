"""Workers: run expansions and evaluations, at most `workers` at once; a patch is measured once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ...tools.errors import BudgetExceeded, CredentialsError, ModelError, SandboxError
from .config import SearchConfig
from .cost import Cost
from .journal import SearchJournal
from .node import Evaluation, Rollout, Status, seed_of
from .request import Budget, Evaluate, EvaluateRequest, Expand, ExpandRequest

Done = tuple[Rollout, Evaluation | None]


class Workers:
    """Owns the tasks of a search; `cancel` ends them all."""

    def __init__(
        self,
        expand: Expand,
        evaluate: Evaluate,
        config: SearchConfig,
        journal: SearchJournal,
        budget: Budget | None,
    ) -> None:
        self._expand, self._evaluate = expand, evaluate
        self._config, self._journal, self._budget = config, journal, budget
        self._slots = asyncio.Semaphore(config.workers)
        self._closed = False
        self._tasks: dict[str, asyncio.Task[Done]] = {}
        self._assessing: dict[str, asyncio.Future[Evaluation]] = {}

    def start(self, request: ExpandRequest) -> None:
        self._tasks[request.node] = asyncio.create_task(self._run(request), name=f"rollout {request.node}")

    async def result(self, request: ExpandRequest) -> Done:
        """Wait for one rollout. Raises what its functions raised."""
        # Shielded: cancelling the search must not free this rollout's slot for another before `cancel`.
        return await asyncio.shield(self._tasks[request.node])

    async def cancel(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, request: ExpandRequest) -> Done:
        async with self._slots:
            if self._closed:  # the slot came free because others were cancelled
                raise asyncio.CancelledError
            known = self._journal.rollouts.get(request.node)
            reserved = known is None and self._budget is not None
            if reserved and self._budget and not self._budget.reserve(request.node, request.allowance):
                return Rollout(Status.LIMIT, error="the budget has no room for another rollout"), None
            rollout, own = known, Cost()
            try:
                if rollout is None:
                    rollout = await self._rollout(request)
                    if rollout.status is not Status.INFRASTRUCTURE:
                        self._journal.rollout(request.node, rollout)
                    own = rollout.cost
                evaluation, fresh = await self._measure(request, rollout)
                own = own + fresh
                return rollout, evaluation
            except (SandboxError, ModelError) as error:
                if isinstance(error, CredentialsError):
                    raise
                cost = rollout.cost if rollout else Cost()
                return Rollout(Status.INFRASTRUCTURE, cost=cost, error=str(error)), None
            finally:
                if self._budget and (reserved or own != Cost()):
                    self._budget.settle(request.node, own)

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

    async def _measure(self, request: ExpandRequest, rollout: Rollout) -> tuple[Evaluation | None, Cost]:
        """The evaluation of the rollout's patch, and what it cost here and now."""
        key = rollout.normalised_hash
        if rollout.patch is None or key is None or rollout.status is Status.INFRASTRUCTURE:
            return None, Cost()
        if rollout.evaluation is not None:
            return rollout.evaluation, Cost()
        if key in self._journal.assessments:
            return self._journal.assessments[key], Cost()
        running = self._assessing.get(key)
        if running is not None:
            return await asyncio.shield(running), Cost()
        future: asyncio.Future[Evaluation] = asyncio.get_running_loop().create_future()
        self._assessing[key] = future
        seed = seed_of(self._config.seed, f"evaluate/{key}")
        asked = EvaluateRequest(request.node, rollout.patch, key, rollout, seed)
        try:
            evaluation = await self._assess(asked)
        except BaseException as error:
            del self._assessing[key]
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()  # read, so that asyncio does not warn when nobody else waits
            raise
        self._journal.assessment(key, evaluation)
        future.set_result(evaluation)
        return evaluation, evaluation.cost

    async def _assess(self, asked: EvaluateRequest) -> Evaluation:
        for attempt in range(self._config.retries + 1):
            try:
                return await self._evaluate(asked)
            except (SandboxError, ModelError) as error:
                if isinstance(error, CredentialsError) or attempt == self._config.retries:
                    raise
        raise AssertionError("unreachable")
