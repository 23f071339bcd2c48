"""Runner: takes instances through an executor until each has a prediction, or why not is known."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...tools.errors import SandboxError
from ...tools.retry import RetryPolicy
from ..benchmarks.instance import Instance
from .job import SOLVE, Doing, Job, JobOutcome, instance_to_json
from .local import Executor
from .outputs import Outputs
from .settings import InstanceSettings
from .state import BatchState, DiskFullError

GRACE_S = 8.0
"""Seconds that running instances have to reach a checkpoint after the first ^C."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What a batch does with each instance."""

    settings: InstanceSettings
    """With the budget of one instance."""
    workers: int = 1
    retries: int = 2
    """Further attempts in this call after an infrastructure failure."""
    backoff_s: float = 5.0
    """Before the first further attempt; doubled for each later one."""
    total_usd: float | None = None
    total_wall_s: float | None = None
    entry: str = SOLVE


class Watcher(Protocol):
    """Hears what happens; the screen."""

    def started(self, name: str, attempt: int) -> None: ...
    def progress(self, name: str, fields: Doing) -> None: ...
    def ended(self, outcome: JobOutcome, *, again_in_s: float | None) -> None: ...


@dataclass(slots=True)
class Ended:
    """How a call ended. `why` is None when every instance has a prediction."""

    why: str | None = None
    """stopped (a signal), disk_full, budget, fatal, partly."""
    detail: str = ""
    fatal: JobOutcome | None = None


@dataclass(slots=True)
class _Queue:
    """Instances to be worked on, in order; those that failed come back after their pause."""

    ready: list[str]
    later: list[tuple[float, str]] = field(default_factory=list)

    def pop(self) -> str | None:
        now = time.monotonic()
        due = [item for item in self.later if item[0] <= now]
        if due:
            self.later.remove(min(due))
            return min(due)[1]
        return self.ready.pop(0) if self.ready else None

    def pause(self) -> float | None:
        """Seconds until the next one is due; None when none waits."""
        return max(0.0, min(self.later)[0] - time.monotonic()) if self.later else None


class Runner:
    """One call of `swe-agent batch`."""

    def __init__(
        self,
        plan: BatchPlan,
        instances: Sequence[Instance],
        state: BatchState,
        executor: Executor,
        outputs: Outputs,
        watcher: Watcher,
        *,
        tidy: Callable[[], object] | None = None,
    ) -> None:
        """`tidy` is called in a thread after each instance that has a prediction (disk budgets)."""
        self._plan = plan
        self._retry = RetryPolicy(plan.backoff_s, math.inf, attempts=plan.retries + 1, jitter=False)
        self._instances = {instance.id: instance for instance in instances}
        self._state = state
        self._executor = executor
        self._outputs = outputs
        self._watcher = watcher
        self._tidy = tidy
        self._queue = _Queue([name for name in self._instances if not state.of(name).finished])
        self._tries: dict[str, int] = {}
        self._reserved: dict[str, float] = {}
        self._ended = Ended()
        self._halted = False
        self._waiting: set[asyncio.Future[None]] = set()
        self._active = 0
        self._started = time.monotonic()

    async def run(self) -> Ended:
        """Work until nothing is left or something stops the batch."""
        try:
            self._outputs.write(force=True)
            workers = [asyncio.create_task(self._work()) for _ in range(max(1, self._plan.workers))]
            await asyncio.gather(*workers)
        finally:
            await self._executor.stop(0.0 if self._halted else GRACE_S)
        try:
            self._outputs.write(force=True)
        except DiskFullError as error:
            self._stop("disk_full", str(error))
        if self._ended.why is None and not all(self._state.of(name).finished for name in self._instances):
            self._ended.why = "partly"
        return self._ended

    async def stop(self) -> None:
        """The first ^C: no new instance, running ones reach a checkpoint or are killed after GRACE_S."""
        self._stop("stopped")
        await self._executor.stop(GRACE_S)

    def kill(self) -> None:
        """The second ^C."""
        self._stop("stopped")
        self._executor.kill()

    def _stop(self, why: str, detail: str = "", fatal: JobOutcome | None = None) -> None:
        if self._ended.why is None:
            self._ended = Ended(why, detail, fatal)
        self._halted = True
        self._wake()

    async def _work(self) -> None:
        while not self._halted:
            name = self._queue.pop()
            if name is None:
                pause = self._queue.pause()
                if pause is None and self._active == 0:
                    return
                await self._wait(pause)
                continue
            settings = self._settings(name)
            if settings is None and self._reserved:  # what runs may leave something over
                self._queue.ready.insert(0, name)
                await self._wait(None)
                continue
            if settings is None:
                self._stop(
                    "budget", "the budget of the whole batch is used up; raise it and run the command again"
                )
                return
            self._active += 1
            try:
                await self._one(name, settings)
            except DiskFullError as error:
                self._stop("disk_full", str(error))
            finally:
                self._active -= 1
                self._reserved.pop(name, None)
                self._wake()

    async def _wait(self, pause: float | None) -> None:
        """Until an instance ends, the batch stops, or `pause` seconds are over."""
        # Registered before the first suspension: what changes after the caller looked is not missed.
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(change)
        try:
            await asyncio.wait([change], timeout=pause)
        finally:
            self._waiting.discard(change)

    def _wake(self) -> None:
        for change in self._waiting:
            if not change.done():
                change.set_result(None)

    async def _one(self, name: str, settings: InstanceSettings) -> None:
        attempt = self._state.started(name)
        self._tries[name] = self._tries.get(name, 0) + 1
        self._watcher.started(name, attempt)
        job = Job(
            instance_to_json(self._instances[name]),
            str(self._state.instance_directory(name)),
            settings,
            attempt,
            self._plan.entry,
        )
        outcome = await self._executor.run(job, self._watcher.progress)
        if self._halted and outcome.reason == "worker_lost":
            # killed by the stop itself: it goes on where it was
            outcome = JobOutcome(name, "interrupted", "interrupted")
        self._state.ended(outcome)
        again: float | None = None
        if outcome.kind == "fatal":
            self._stop("fatal", outcome.detail, outcome)
        elif outcome.reason == "disk_full":
            self._stop(
                "disk_full", f"{name}: {outcome.detail}; free some space and run the same command again"
            )
        elif outcome.kind == "infrastructure" and self._retry.allows(self._tries[name]):
            pause = self._retry.pause_s(self._tries[name])
            self._queue.later.append((time.monotonic() + pause, name))
            again = pause
        self._watcher.ended(outcome, again_in_s=again)
        self._outputs.write()
        if self._tidy is not None and outcome.kind == "finished":
            # a disk budget that cannot be kept just now is kept after the next instance
            with contextlib.suppress(SandboxError):
                await asyncio.to_thread(self._tidy)

    def _settings(self, name: str) -> InstanceSettings | None:
        """The settings of one instance, its budget within what is left of the batch's; None when nothing is
        left. What an instance may spend is reserved until it ends."""
        plan = self._plan
        usd, wall = plan.settings.budget_usd, plan.settings.timeout
        if plan.total_usd is not None:
            left = plan.total_usd - self.spent_usd() - sum(self._reserved.values())
            if left <= 1e-9:
                return None
            share = left / max(1, plan.workers - self._active)
            usd = min(usd, left) if usd is not None else share
            self._reserved[name] = usd
        if plan.total_wall_s is not None:
            rest = plan.total_wall_s - (time.monotonic() - self._started)
            if rest <= 0:
                return None
            wall = rest if wall is None else min(wall, rest)
        return plan.settings.model_copy(update={"budget_usd": usd, "timeout": wall})

    def spent_usd(self) -> float:
        """Dollars of everything that ended, as far as prices are known."""
        return sum(
            progress.outcome.cost_usd
            for progress in self._state.progress.values()
            if progress.outcome is not None and progress.outcome.cost_usd is not None
        )


async def run_batch(
    runner: Runner, install: Callable[[Callable[[int], None]], None], on_stop: Callable[[int], None]
) -> tuple[Ended, int | None]:
    """Run with signals: the first stops, the second kills. `install` sets the handler, `on_stop` hears of
    each signal. Returns how it ended and the number of the first signal."""
    caught: list[int] = []
    stopping: list[asyncio.Task[None]] = []

    def handle(number: int) -> None:
        caught.append(number)
        on_stop(len(caught))
        if len(caught) == 1:
            stopping.append(asyncio.ensure_future(runner.stop()))
        else:
            runner.kill()

    install(handle)
    ended = await runner.run()
    for task in stopping:
        await task
    return ended, caught[0] if caught else None
