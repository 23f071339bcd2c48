"""A small deterministic world for the laws: rollouts whose every property follows from their path.

Run as a program it makes one recorded search and pays for each turn through a journal, as the product's
model client does; the kill tests interrupt it anywhere and run it again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swe_agent.orchestrator.record.event import Event, event
from swe_agent.orchestrator.record.journal import Journal
from swe_agent.orchestrator.record.log import EventLog, read_events
from swe_agent.orchestrator.record.recorder import Recorder
from swe_agent.orchestrator.search.config import SearchConfig
from swe_agent.orchestrator.search.cost import Cost
from swe_agent.orchestrator.search.node import CriticScore, Measurement, Rollout, Status, Step
from swe_agent.orchestrator.search.request import ExpandRequest, Record
from swe_agent.orchestrator.search.search import SearchResult, search
from swe_agent.tools.errors import SandboxError
from swe_agent.tools.patch import Patch

SEARCH_EVENTS = ("rollout", "assessment")


def patch_of(name: object) -> Patch:
    return Patch(f"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+{name}\n")


@event("paid", key=("scope",))
class Paid(Event):
    scope: str


class Toy:
    """Paid turns are `paid` events of the log, so that a second process knows them."""

    def __init__(
        self,
        log: Record,
        earlier: list[Mapping[str, Any]] | None = None,
        *,
        kinds: int = 12,
        jitter: float = 0.0004,
        broken_every: int = 0,
        empty_every: int = 0,
    ) -> None:
        self.log = log
        self.kinds, self.jitter = kinds, jitter
        self.broken_every, self.empty_every = broken_every, empty_every
        self.known = {event["scope"] for event in earlier or () if event["type"] == "paid"}
        self.expanded: list[str] = []
        self.at_once = self.most_at_once = 0

    async def _pay(self, scope: str) -> None:
        if scope not in self.known:
            self.log.append(Paid(scope=scope))
            self.known.add(scope)

    async def _work(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(random.random() * self.jitter)
        finally:
            self.at_once -= 1

    async def expand(self, request: ExpandRequest) -> Rollout:
        rng = random.Random(request.seed)
        self.expanded.append(request.node)
        turns = rng.randint(1, 3)
        for turn in range(turns):
            await self._pay(request.node_at(turn))
            await self._work()
        if self.broken_every and rng.randrange(self.broken_every) == 0:
            raise SandboxError("the sandbox went away")
        steps = tuple(
            Step(tree_hash=f"{rng.getrandbits(160):040x}", patch=f"+{turn}", evaluation=_measured(rng))
            for turn in range(turns)
        )
        empty = self.empty_every and rng.randrange(self.empty_every) == 0
        status = rng.choice([Status.FINISHED, Status.FINISHED, Status.LIMIT])
        cost = Cost(usd=0.01 * turns, turns=turns)
        if empty:
            return Rollout(status, None, steps=steps, cost=cost)
        kind = rng.randrange(self.kinds)
        measured = _measured(random.Random(kind))
        return Rollout(status, patch_of(kind), steps=steps, cost=cost, evaluation=measured)


def _measured(rng: random.Random) -> Measurement:
    tests = {f"t{i}": rng.random() < 0.6 for i in range(3)}
    return Measurement(
        reproduction=tests,
        broken=() if rng.random() < 0.7 else ("suite::x",),
        critic=CriticScore(rng.random(), rng.random() / 4, 3),
        outcomes={test: "passed" if good else "failed" for test, good in tests.items()},
    )


def summary(result: SearchResult) -> dict[str, Any]:
    """Everything of a result that must not depend on workers, timing or interruption."""
    return {
        "nodes": [(n.id, n.parent, n.visits, n.total, n.best, n.value, n.children) for n in result.nodes],
        "finished": [(f.node, f.rollout.normalised_hash, f.reward, f.duplicate_of) for f in result.finished],
        "candidates": [(c.node, c.votes, c.voters) for c in result.candidates],
        "selected": result.selected and result.selected.node,
        "confidence": result.confidence,
        "abstained": result.abstained,
        "reasons": result.reasons,
        "spent": result.spent.to_json(),
    }


class Killer(EventLog):
    """An event log in a process that is killed with -9 right after its `at`-th event is on disk."""

    def __init__(self, path: Path, at: int) -> None:
        super().__init__(path)
        self.at = at

    def append(self, type: str, /, **fields: Any) -> int:
        seq = super().append(type, **fields)
        if seq == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return seq


def go(path: Path, kill_at: int, workers: int) -> dict[str, Any]:
    earlier = list(read_events(path)) if path.exists() else []
    log = Killer(path, kill_at)
    record = Recorder(log, Journal(earlier))
    toy = Toy(record, earlier, jitter=0.0)
    config = SearchConfig(samples=4, workers=workers, seed=11, window=3, early_stop=False)
    result = asyncio.run(search(toy.expand, config, record))
    log.close()
    return summary(result)


if __name__ == "__main__":
    print(json.dumps(go(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
