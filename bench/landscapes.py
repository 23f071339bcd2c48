"""Simulated landscapes: where rollouts share prefixes, partial credit and verifiers that can be wrong.

A task is a chain of decisions, one per turn. Most are routine; a few are cruxes that a rollout usually gets
wrong, in one of a few typical ways. A wrong decision stays wrong in everything built on that prefix, and the
patch is correct when no decision is wrong. So a rollout from a prefix inherits what the prefix decided, for
better and worse, and costs only the turns after it. Nothing else favours a branch: a branching rollout is
not wiser for its siblings' failures here, and finished rollouts cannot be continued.

What the search sees is what it sees in the product: after each turn, which reproduction tests pass; at the
finish, the same tests, the regression tests and a Critic. Tests cover some decisions each; a test may be
wrong, and then its outcome has nothing to do with the decisions. Wrong decisions may also break regression
tests, or (deceptive) satisfy the very tests that should catch them. Every draw is keyed by what it is about
(task, path, patch), never by order: policies meet common random numbers, and their roots are identical.

    python bench/landscapes.py NAME [--tasks 300] [--samples 8] [--seed 0] > CANDIDATES.jsonl

writes finished rollouts of known outcome, for bench/selection.py.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from swe_agent.orchestrator.search.cost import Cost
from swe_agent.orchestrator.search.node import CriticScore, Measurement, Rollout, Status, Step, digest
from swe_agent.orchestrator.search.request import ExpandRequest
from swe_agent.tools.patch import Patch


@dataclass(frozen=True, slots=True)
class Landscape:
    name: str
    about: str
    turns: tuple[int, int] = (4, 10)
    """Decisions of a task, from and to."""
    cruxes: tuple[int, int] = (1, 3)
    crux: tuple[float, float] = (0.15, 0.6)
    """Chance of getting a crux right, from and to, drawn per crux."""
    routine: float = 0.97
    tests: int = 6
    block: int = 1
    """Decisions a reproduction test covers; 0: all of them, so that nothing passes before all is right."""
    valid: float = 0.85
    """Share of the reproduction tests that are right."""
    flip: float = 0.0
    """Chance that a prefix's test outcome is misread."""
    regression: float = 0.4
    """Chance that a way of being wrong breaks a regression test."""
    fooled: float = 0.0
    """Chance that a way of being wrong satisfies the tests that cover it."""
    critic_gap: float = 0.25
    """Critic's mean for correct patches minus that for wrong ones."""
    critic_noise: float = 0.2
    """Standard deviation of a Critic's score around its mean."""


LANDSCAPES = (
    Landscape("dense", "every decision has its own test, mostly right"),
    Landscape("noisy", "tests misread at prefixes, two in five wrong", valid=0.6, flip=0.25,
              critic_noise=0.35),
    Landscape("deceptive", "wrong turns satisfy the tests that cover them", fooled=0.6, regression=0.6),
    Landscape("blind", "no test passes before everything is right", block=0),
    Landscape("long", "14-22 turns, tests over blocks", turns=(14, 22), cruxes=(2, 4), crux=(0.3, 0.8),
              block=3),
    Landscape("good verifier", "tests and Critic nearly always right", block=2, valid=0.98, critic_gap=0.5,
              critic_noise=0.1, regression=0.7),
    Landscape("bad verifier", "most tests wrong, Critic near chance", block=2, valid=0.4, critic_gap=0.05,
              critic_noise=0.3, regression=0.2),
    Landscape("easy", "short and mostly routine", turns=(2, 4), cruxes=(0, 1), crux=(0.5, 0.9)),
)  # fmt: skip

WAYS = 3
"""Typical ways of getting a crux wrong."""
STYLES = 3
"""Spellings of the same change that do not normalise to one."""


def _rng(*key: object) -> random.Random:
    return random.Random(digest(*(str(part) for part in key)))


@dataclass(frozen=True)
class Task:
    """One simulated issue; offers `expand` to the search."""

    landscape: Landscape
    number: int
    seed: int

    @property
    def key(self) -> str:
        return f"{self.landscape.name}/{self.seed}/{self.number}"

    @cached_property
    def chances(self) -> tuple[float, ...]:
        """Chance of getting each decision right."""
        rng, land = _rng(self.key, "shape"), self.landscape
        length = rng.randint(*land.turns)
        cruxes = set(rng.sample(range(length), min(length, rng.randint(*land.cruxes))))
        return tuple(rng.uniform(*land.crux) if turn in cruxes else land.routine for turn in range(length))

    @cached_property
    def covers(self) -> tuple[frozenset[int] | None, ...]:
        """Per reproduction test the decisions it covers; None: the test is wrong."""
        rng, land, length = _rng(self.key, "tests"), self.landscape, len(self.chances)
        tests: list[frozenset[int] | None] = []
        for _ in range(land.tests):
            size = land.block or length
            start = rng.randrange(max(1, length - size + 1))
            tests.append(
                frozenset(range(start, min(length, start + size))) if rng.random() < land.valid else None
            )
        return tuple(tests)

    def decide(self, turn: int, rng: random.Random) -> int:
        """0 is right; 1.. are the ways of being wrong, the first the most usual."""
        if rng.random() < self.chances[turn]:
            return 0
        return rng.choices(range(1, WAYS + 1), weights=(4, 2, 1))[0]

    def fools(self, turn: int, way: int) -> bool:
        return _rng(self.key, "fools", turn, way).random() < self.landscape.fooled

    def breaks(self, turn: int, way: int) -> bool:
        return _rng(self.key, "breaks", turn, way).random() < self.landscape.regression

    def passes(self, test: int, decisions: tuple[int, ...]) -> bool:
        covered = self.covers[test]
        if covered is None:
            return _rng(self.key, "wrong test", test, decisions).random() < 0.5
        return all(
            turn < len(decisions) and (decisions[turn] == 0 or self.fools(turn, decisions[turn]))
            for turn in covered
        )

    def look(self, decisions: tuple[int, ...], *, flip: float = 0.0) -> dict[str, bool]:
        rng = _rng(self.key, "look", decisions)
        return {
            f"t{test}": self.passes(test, decisions) != (rng.random() < flip)
            for test in range(len(self.covers))
        }

    async def expand(self, request: ExpandRequest) -> Rollout:
        """Decide the turns after the parent's; one turn costs one expansion."""
        start = _decisions(request.parent_step.tree_hash) if request.parent_step else ()
        rng = random.Random(f"{self.key}/{request.node}")
        decisions = start
        steps: list[Step] = []
        length = len(self.chances)
        room = request.allowance.turns
        while len(decisions) < length and (room is None or len(steps) < room):
            decisions = (*decisions, self.decide(len(decisions), rng))
            finish = len(decisions) == length
            seen = (
                None if finish else Measurement(reproduction=self.look(decisions, flip=self.landscape.flip))
            )
            steps.append(Step(_name(decisions), evaluation=seen, forkable=not finish))
        cost = Cost(turns=len(steps))
        if len(decisions) < length:
            return Rollout(Status.LIMIT, steps=tuple(steps), cost=cost)
        style = rng.randrange(STYLES)
        name = f"{_name(decisions)}/{style}"
        return Rollout(
            Status.FINISHED,
            _patch(name),
            _name(decisions),
            tuple(steps),
            cost=cost,
            evaluation=self.measure(name),
            normalised_hash=name,
        )

    def measure(self, name: str) -> Measurement:
        """What tests and a critic say about a finished patch; the same each time."""
        decisions = _decisions(name.partition("/")[0])
        land = self.landscape
        wrong = [(turn, way) for turn, way in enumerate(decisions) if way]
        rng = _rng(self.key, "critic", name)
        centre = 0.55 + (land.critic_gap / 2 if not wrong else -land.critic_gap / 2)
        # Three samples: the recorded spread is what three such scores show, not the true one.
        scores = [min(1.0, max(0.0, rng.gauss(centre, land.critic_noise))) for _ in range(3)]
        mean = sum(scores) / 3
        sd = (sum((score - mean) ** 2 for score in scores) / 2) ** 0.5
        return Measurement(
            reproduction=self.look(decisions),
            broken=tuple(f"r{turn}.{way}" for turn, way in wrong if self.breaks(turn, way)),
            critic=CriticScore(mean, sd, 3),
        )


def correct(normalised_hash: str) -> bool:
    """The hidden truth of a patch; read by the scorer alone."""
    return not any(_decisions(normalised_hash.partition("/")[0]))


def _name(decisions: tuple[int, ...]) -> str:
    return "".join(map(str, decisions))


def _decisions(name: str | None) -> tuple[int, ...]:
    return tuple(map(int, name or ""))


def candidates(task: Task, samples: int) -> Iterator[dict[str, object]]:
    """Rollouts from independent roots, as lines of bench/selection.py."""
    for number in range(samples):
        rng = random.Random(f"{task.key}/n{number}")
        decisions = tuple(task.decide(turn, rng) for turn in range(len(task.chances)))
        name = f"{_name(decisions)}/{rng.randrange(STYLES)}"
        seen = task.measure(name)
        yield {
            "instance": task.key,
            "patch": _patch(name).text,
            "resolved": correct(name),
            "reproduction": dict(seen.reproduction),
            "generated": sorted(seen.reproduction),
            "broken": list(seen.broken or ()),
            "critic": seen.critic and seen.critic.to_json(),
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[one.name for one in LANDSCAPES])
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    land = next(one for one in LANDSCAPES if one.name == args.name)
    for number in range(args.tasks):
        for line in candidates(Task(land, number, args.seed), args.samples):
            print(json.dumps(line))


def _patch(name: str) -> Patch:
    return Patch(f"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-\n+{name}\n")


if __name__ == "__main__":
    main()
