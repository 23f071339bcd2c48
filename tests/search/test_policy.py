"""The selection rule, virtual loss, the schedule and early stop."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest

from swe_agent.orchestrator.record.event import Event
from swe_agent.orchestrator.record.journal import Journal
from swe_agent.orchestrator.search.config import SearchConfig
from swe_agent.orchestrator.search.cost import Cost
from swe_agent.orchestrator.search.node import CriticScore, Measurement, Rollout, SearchNode, Status, Step
from swe_agent.orchestrator.search.policy import score
from swe_agent.orchestrator.search.request import ExpandRequest
from swe_agent.orchestrator.search.schedule import dispatch, next_choice
from swe_agent.orchestrator.search.search import SearchResult, search
from swe_agent.orchestrator.search.state import State
from swe_agent.tools.errors import BudgetExceeded, CredentialsError, ModelError, SandboxError, UsageError

from .toy import Toy, patch_of


class Quiet:
    def __init__(self, earlier: list[dict[str, Any]] | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.journal = Journal(earlier or ())

    def append(self, event: Event) -> int:
        if not self.journal.seen(event):
            self.events.append({"type": event.type, "at": 0.0, **event.to_json()})
        return 0

    def recall(self, kind: Any, *name: Any) -> Any:
        return self.journal.recall(kind, *name)


GREEN = Measurement(reproduction={"t": True}, broken=(), critic=CriticScore(0.95, 0.02, 3))
DOUBTED = Measurement(reproduction={"t": True}, broken=(), critic=CriticScore(0.6, 0.1, 3))
RED = Measurement(
    reproduction={"t": False}, broken=(), critic=CriticScore(0.5, 0.1, 3), failures={"t": "1 != 2"}
)


class World:
    """Answers by script: node → (patch name or None, evaluation)."""

    def __init__(self, answer: Any, turns: int = 2) -> None:
        self.answer, self.turns = answer, turns
        self.requests: list[ExpandRequest] = []
        self.cancelled: list[str] = []

    async def expand(self, request: ExpandRequest) -> Rollout:
        self.requests.append(request)
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.cancelled.append(request.node)
            raise
        name, evaluation = self.answer(request)
        patch = None if name is None else patch_of(name)
        return Rollout(
            Status.FINISHED,
            patch,
            steps=tuple(Step(evaluation=RED) for _ in range(self.turns)),
            cost=Cost(turns=self.turns),
            evaluation=evaluation,
        )


def run(world: World, **config: Any) -> SearchResult:
    return asyncio.run(search(world.expand, SearchConfig(**config), Quiet()))


def node(**values: Any) -> SearchNode:
    base = SearchNode("n0", None, "n0", 0, "root", Step(), terminal=False, value=0.5, forkable=True)
    return replace(base, **values)


def test_the_formula() -> None:
    config = SearchConfig(exploration=0.25, child_penalty=0.02)
    got = score(node(visits=3, total=1.5, value=0.8, children=2, pending=1, depth=3), 7, config)
    spread = 0.25 * math.sqrt(math.log(8) / 4)
    assert got == pytest.approx(0.5 * 0.5 + 0.5 * 0.8 + spread - 0.02 * 2 - 0.02 * 3)
    unmeasured = score(node(visits=2, total=0.6, value=None), 7, config)
    assert unmeasured == pytest.approx(0.3 + 0.25 * math.sqrt(math.log(8) / 2))


def test_virtual_loss_spreads_the_picks() -> None:
    """Four undecided expansions go to different prefixes; without the loss they would pile on one."""
    world = World(lambda r: (r.node, RED), turns=4)
    config = SearchConfig(samples=20, roots=3, window=4, restart=0.0, early_stop=False)
    state = State(config)
    for _ in range(3):
        choice = next_choice(state)
        assert choice is not None
        request = dispatch(state, choice)
        state.commit(request, asyncio.run(world.expand(request)))
    picks = []
    while (choice := next_choice(state)) is not None:
        dispatch(state, choice)
        picks.append(choice.parent)
    assert len(picks) == 4
    assert len(set(picks)) == 4


def test_width_bounds_the_children() -> None:
    """A prefix that looks better than all others is left alone once it is full."""

    class Lure(World):
        async def expand(self, request: ExpandRequest) -> Rollout:
            rollout = await super().expand(request)
            if request.node != "n0":
                return rollout
            return replace(rollout, steps=(Step(evaluation=GREEN), rollout.steps[1]))

    world = Lure(lambda r: (r.node, RED))
    result = run(world, samples=9, roots=1, width=3, restart=0.0, exploration=0.0, early_stop=False)
    assert [node.children for node in result.nodes if node.id == "n0"] == [3]
    assert [request.parent for request in world.requests][:3] == [None, "n0", "n0"]


def test_roots_differ_and_the_first_is_what_linear_makes() -> None:
    tree = World(lambda r: (r.node, RED))
    run(tree, samples=3, early_stop=False)
    linear = World(lambda r: (r.node, RED))
    run(linear, kind="linear")
    assert len(linear.requests) == 1
    first = next(r for r in tree.requests if r.node == "n0")
    only = linear.requests[0]
    assert (first.node, first.seed, first.variant) == (only.node, only.seed, only.variant)
    roots = [r.variant for r in tree.requests if r.parent is None]
    assert len({(v.prompt_seed, v.temperature, v.localisation) for v in roots}) == 3
    assert roots[0].temperature is None


def test_the_offline_proposer_is_one_root_beside_models_and_every_root_alone() -> None:
    both = World(lambda r: (r.node, RED))
    run(both, kind="best-of-n", samples=5, proposers=("llm", "offline"), early_stop=False)
    assert [r.variant.proposer for r in sorted(both.requests, key=lambda r: r.node)] == [
        "llm", "offline", "llm", "llm", "llm",
    ]  # fmt: skip
    alone = World(lambda r: (r.node, RED))
    run(alone, kind="best-of-n", samples=3, proposers=("offline",), early_stop=False)
    assert [r.variant.rank for r in alone.requests] == [0, 1, 2], "each offers its next patch"


def test_a_branch_sees_what_its_siblings_failed_on() -> None:
    world = World(lambda r: (r.node, RED))
    run(world, samples=8, restart=0.0, early_stop=False)
    branches = [r for r in world.requests if r.parent is not None]
    assert branches
    for request in branches:
        assert request.siblings
        assert any("t: 1 != 2" in line for sibling in request.siblings for line in sibling.failures)
        assert request.parent_step is not None
        assert request.agent == "debugger"


def test_an_easy_issue_costs_what_linear_costs() -> None:
    tree, linear = World(lambda r: ("fix", GREEN)), World(lambda r: ("fix", GREEN))
    spent = run(tree, samples=8, workers=8).spent, run(linear, kind="linear").spent
    assert spent[0] == spent[1]
    assert len(tree.requests) == len(linear.requests) == 1


def test_two_green_independent_trajectories_end_it() -> None:
    world = World(lambda r: (r.node, DOUBTED))
    result = run(world, samples=8)
    assert "two independent trajectories" in result.stopped
    assert len(result.finished) == 2


def test_the_same_change_twice_ends_it_unless_something_speaks_against_it() -> None:
    blank = Measurement()
    assert "agree on the same change" in run(World(lambda r: ("same", blank)), samples=8).stopped
    wrong = run(World(lambda r: ("same", RED)), samples=8, patience=None)
    assert wrong.stopped == "all samples are done"


def test_without_a_better_rollout_it_gives_up() -> None:
    result = run(World(lambda r: (r.node, RED)), samples=40, patience=4)
    assert result.stopped == "4 rollouts in a row without a better one"
    assert len(result.finished) == 5
    assert result.abstained


def test_early_stop_cancels_what_is_in_flight_and_says_so() -> None:
    answers = {"n1": DOUBTED, "n2": DOUBTED}
    world = World(lambda r: (r.node, answers.get(r.node, RED)))
    log = Quiet()
    config = SearchConfig(kind="best-of-n", samples=12, window=6, workers=1)
    result = asyncio.run(search(world.expand, config, log))
    stop = next(e for e in log.events if e["type"] == "decision" and e["what"] == "stop")
    assert [f.node for f in result.finished] == ["n0.0", "n1.0", "n2.0"]
    assert stop["chosen"] == ["n3", "n4", "n5", "n6", "n7"]
    assert len(world.requests) <= 4


def test_a_budget_below_the_median_rollout_ends_it() -> None:
    world = World(lambda r: (r.node, RED), turns=3)
    result = run(world, samples=40, limits=Cost(turns=10), holdback=0.0, patience=None)
    assert (result.spent.turns or 0) <= 10
    assert "below the median rollout" in result.stopped
    assert len(result.finished) == 3


def test_the_selections_share_is_held_back() -> None:
    world = World(lambda r: (r.node, RED), turns=1)
    result = run(world, kind="best-of-n", samples=100, limits=Cost(turns=20), holdback=0.25, patience=None)
    assert result.spent.turns == 15


@pytest.mark.parametrize("error", [SandboxError("gone"), ModelError("503")])
def test_infrastructure_is_retried_and_never_scored(error: Exception) -> None:
    async def expand(request: ExpandRequest) -> Rollout:
        if request.node in ("n0", "n1") and request.attempt == 0:
            raise error
        if request.node == "n1":
            raise error
        return await world.expand(request)

    world = World(lambda r: (r.node, RED))
    config = SearchConfig(kind="best-of-n", samples=3, early_stop=False)
    result = asyncio.run(search(expand, config, Quiet()))
    by_node = {f.request.node: f for f in result.finished}
    assert by_node["n0"].rollout.status is Status.FINISHED
    assert by_node["n1"].rollout.status is Status.INFRASTRUCTURE
    assert by_node["n1"].reward is None
    assert by_node["n1"].rollout.error == str(error)
    assert set(by_node) == {"n0", "n1", "n2", "n3"}, "a lost sample is made up for"


def test_infrastructure_that_stays_down_ends_it() -> None:
    async def expand(request: ExpandRequest) -> Rollout:
        raise SandboxError("no space left")

    result = asyncio.run(search(expand, SearchConfig(samples=20), Quiet()))
    assert result.infrastructure
    assert result.selected is None
    assert len(result.finished) == 3


def test_a_limit_inside_a_rollout_is_data_and_a_refused_key_is_fatal() -> None:
    async def limited(request: ExpandRequest) -> Rollout:
        raise BudgetExceeded("no dollars left")

    async def refused(request: ExpandRequest) -> Rollout:
        raise CredentialsError("key refused")

    result = asyncio.run(search(limited, SearchConfig(kind="linear"), Quiet()))
    assert result.finished[0].rollout.status is Status.LIMIT
    with pytest.raises(CredentialsError):
        asyncio.run(search(refused, SearchConfig(), Quiet()))


def test_cancelled_from_outside_nothing_is_left_running() -> None:
    world = World(lambda r: (r.node, RED))

    async def slow(request: ExpandRequest) -> Rollout:
        world.requests.append(request)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            world.cancelled.append(request.node)
            raise
        raise AssertionError

    async def main() -> int:
        config = SearchConfig(kind="best-of-n", samples=9, probe=0, window=9, workers=4)
        task = asyncio.create_task(search(slow, config, Quiet()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert sorted(world.cancelled) == sorted(r.node for r in world.requests)
    assert len(world.cancelled) == 4


def test_an_empty_patch_has_reward_0_and_is_no_candidate() -> None:
    result = run(World(lambda r: (None, RED)), kind="best-of-n", samples=2, early_stop=False)
    assert [f.reward for f in result.finished] == [0.0, 0.0]
    assert result.selected is None
    assert result.reasons[0] == "no candidate changes anything"


def test_progress_is_told_of_every_commit() -> None:
    toy = Toy(Quiet())
    seen: list[int] = []
    config = SearchConfig(samples=4, early_stop=False)
    asyncio.run(search(toy.expand, config, Quiet(), progress=lambda s: seen.append(len(s.finishes))))
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "mcts"},
        {"samples": 0},
        {"workers": 0},
        {"proposers": ()},
        {"proposers": ("llm", "llm")},
        {"holdback": 1.0},
    ],
)
def test_nonsense_is_refused_in_one_line(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        SearchConfig(**bad)
    assert "\n" not in str(caught.value)


def test_the_last_look_may_change_the_choice_and_its_failure_does_not() -> None:
    blank = Measurement(broken=(), critic=CriticScore(0.5, 0.1, 3))
    config = SearchConfig(kind="best-of-n", samples=3, early_stop=False)

    async def sees(candidates: Any) -> dict[str, Measurement]:
        return {c.node: replace(c.evaluation, reproduction={"late": c.node == "n1.0"}) for c in candidates}

    async def fails(candidates: Any) -> dict[str, Measurement]:
        raise ModelError("503")

    def go(judge: Any, log: Quiet) -> SearchResult:
        world = World(lambda r: (r.node, blank))
        return asyncio.run(search(world.expand, config, log, judge=judge))

    assert (first := go(None, Quiet()).selected) is not None
    assert first.node == "n0.0"
    log = Quiet()
    assert (second := go(sees, log).selected) is not None
    assert second.node == "n1.0"
    assert (again := go(fails, Quiet(log.events)).selected) is not None, "a resumed run does not ask again"
    assert again.node == "n1.0"
    failed = go(fails, Quiet())
    assert failed.selected is not None
    assert failed.selected.node == "n0.0"
    assert any("the last look at the candidates failed: 503" in reason for reason in failed.reasons)


def test_the_repositorys_own_tests_are_enough_where_no_critic_can_be_asked() -> None:
    own = Measurement(reproduction={"t": True}, broken=())
    written = Measurement(reproduction={"t": True}, broken=(), generated=frozenset({"t"}))
    assert len(run(World(lambda r: (r.node, own)), samples=6).finished) == 1
    assert len(run(World(lambda r: (r.node, written)), samples=6).finished) == 2
