"""Laws of the search that hold for any seed, any shape and any number of workers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.record.event import Event
from swe_agent.orchestrator.record.journal import Journal
from swe_agent.orchestrator.record.log import EventLog, read_events
from swe_agent.orchestrator.record.recorder import Recorder
from swe_agent.orchestrator.search.config import SearchConfig
from swe_agent.orchestrator.search.cost import Cost
from swe_agent.orchestrator.search.search import SearchResult, search
from swe_agent.tools.errors import RecordError

from .toy import SEARCH_EVENTS, Toy, summary


class Memory:
    """A record in memory."""

    def __init__(self, events: list[dict[str, Any]] | None = None) -> None:
        self.events = list(events or [])
        self.journal = Journal(self.events)

    def append(self, event: Event) -> int:
        if not self.journal.seen(event):
            self.events.append({"type": event.type, "at": 0.0, **event.to_json()})
        return len(self.events) - 1

    def recall(self, kind: Any, *name: Any) -> Any:
        return self.journal.recall(kind, *name)

    @property
    def decided(self) -> list[dict[str, Any]]:
        return [e for e in self.events if e.get("by") == "search" and e["type"] not in SEARCH_EVENTS]


def go(
    config: SearchConfig, *, earlier: list[dict[str, Any]] | None = None, **world: Any
) -> tuple[SearchResult, Memory, Toy]:
    log = Memory(earlier)
    toy = Toy(log, earlier, **world)
    result = asyncio.run(search(toy.expand, config, log))
    return result, log, toy


configs = st.builds(
    SearchConfig,
    kind=st.sampled_from(["tree", "best-of-n"]),
    samples=st.integers(1, 14),
    roots=st.integers(1, 4),
    width=st.integers(1, 4),
    window=st.integers(1, 6),
    probe=st.integers(0, 2),
    seed=st.integers(0, 10_000),
    early_stop=st.booleans(),
    restart=st.sampled_from([0.0, 0.33, 1.0]),
    limits=st.sampled_from([Cost(), Cost(usd=0.15), Cost(turns=11), Cost(usd=0.03, turns=30)]),
)
worlds = st.fixed_dictionaries(
    {
        "kinds": st.integers(1, 30),
        "empty_every": st.sampled_from([0, 3]),
        "broken_every": st.sampled_from([0, 4]),
    }
)


@settings(max_examples=40, deadline=None)
@given(configs, worlds)
def test_one_and_eight_workers_finish_the_same_set(config: SearchConfig, world: dict[str, int]) -> None:
    alone, alone_log, _ = go(config, **world)
    many, many_log, _ = go(config.with_workers(8), **world)
    assert summary(alone) == summary(many)
    assert alone_log.decided == many_log.decided


@settings(max_examples=30, deadline=None)
@given(configs, worlds)
def test_a_search_read_back_from_its_log_equals_the_run(config: SearchConfig, world: dict[str, int]) -> None:
    world = {**world, "broken_every": 0}
    ran, log, _ = go(config, **world)
    again, more, toy = go(config, earlier=log.events, **world)
    assert summary(again) == summary(ran)
    assert toy.expanded == [] or all(
        node not in {f.request.node for f in ran.finished} for node in toy.expanded
    )
    assert more.decided == log.decided, "a replay decides nothing new"


@settings(max_examples=5, deadline=None)
@given(configs, worlds, st.sampled_from([1, 4]))
def test_cut_after_any_event_the_search_goes_on_to_the_same_result(
    config: SearchConfig, world: dict[str, int], workers: int
) -> None:
    config = config.with_workers(workers)
    ran, log, _ = go(config, **world)
    for cut in range(len(log.events)):
        earlier = log.events[:cut]
        done = {event["node"] for event in earlier if event["type"] == "rollout"}
        resumed, whole, toy = go(config, earlier=earlier, **world)
        assert summary(resumed) == summary(ran)
        assert not done & set(toy.expanded), "a finished rollout is never made again"
        paid = [event["scope"] for event in whole.events if event["type"] == "paid"]
        assert len(paid) == len(set(paid)), "no model call is paid twice"
        assert sorted(map(repr, whole.decided)) == sorted(map(repr, log.decided)), "nothing is decided twice"


def test_another_seed_is_refused(tmp_path: Path) -> None:
    _, log, _ = go(SearchConfig(samples=2, seed=1))
    with pytest.raises(RecordError, match="seed 1"):
        go(SearchConfig(samples=2, seed=2), earlier=log.events)


def test_a_larger_budget_goes_on_where_the_smaller_one_ended() -> None:
    small = SearchConfig(kind="best-of-n", samples=3, early_stop=False)
    _, log, _ = go(small)
    more, _, toy = go(SearchConfig(kind="best-of-n", samples=5, early_stop=False), earlier=log.events)
    assert toy.expanded == ["n3", "n4"]
    assert len(more.finished) == 5


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 3, 8]),
    st.sampled_from([Cost(turns=9), Cost(turns=20), Cost(turns=33), Cost(turns=1)]),
    st.integers(1, 6),
    st.sampled_from(["tree", "best-of-n"]),
)
def test_the_limits_are_never_exceeded(seed: int, workers: int, limits: Cost, window: int, kind: Any) -> None:
    config = SearchConfig(
        kind=kind, samples=40, seed=seed, workers=workers, window=window, limits=limits, patience=None
    )
    log = Memory()
    toy = Toy(log)

    async def within(request: Any) -> Any:
        """As the product's roles do: a rollout stops at its allowance."""
        rollout = await toy.expand(request)
        room = request.allowance.turns
        assert room is None or room > 0
        turns = min(rollout.cost.turns or 0, room if room is not None else 99)
        return type(rollout)(
            rollout.status,
            rollout.patch,
            steps=rollout.steps[: int(turns)],
            cost=Cost(usd=0.0, turns=turns),
            evaluation=rollout.evaluation,
        )

    result = asyncio.run(search(within, config, log))
    assert (result.spent.turns or 0) <= (limits.turns or 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3))
def test_duplicates_add_votes_not_nodes(seed: int, kinds: int) -> None:
    config = SearchConfig(samples=10, seed=seed, early_stop=False)
    result, log, _ = go(config, kinds=kinds)
    duplicates = [finish for finish in result.finished if finish.duplicate_of is not None]
    assert len(result.candidates) + len(duplicates) == len(result.finished)
    assert len(result.candidates) <= kinds
    assert sum(len(candidate.votes) for candidate in result.candidates) == len(result.finished)
    nodes = {node.id for node in result.nodes}
    for finish in duplicates:
        assert finish.node not in nodes
    assert sum(event["type"] == "vote" for event in log.events) == len(result.finished)


def test_workers_bound_what_runs_at_once() -> None:
    config = SearchConfig(kind="best-of-n", samples=12, window=12, probe=0, workers=3, early_stop=False)
    _, _, toy = go(config)
    assert toy.most_at_once == 3


def test_the_log_on_disk_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    config = SearchConfig(samples=4, early_stop=False)
    log = EventLog(path)
    record = Recorder(log, Journal())
    toy = Toy(record)
    ran = asyncio.run(search(toy.expand, config, record))
    log.close()
    earlier = list(read_events(path))
    log = EventLog(path)
    record = Recorder(log, Journal(earlier))
    again = Toy(record, earlier)
    resumed = asyncio.run(search(again.expand, config, record))
    log.close()
    assert summary(resumed) == summary(ran)
    assert len(list(read_events(path))) == len(earlier)
    assert again.expanded == []
