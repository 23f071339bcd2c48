"""State: everything the search has decided and seen, in logical order.

Decisions read this and nothing else, so they cannot depend on which worker finished first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .config import SearchConfig
from .cost import NOTHING, Cost, typical
from .node import Candidate, Measurement, Rollout, Status
from .request import ExpandRequest, Sibling, Variant
from .reward import reward
from .tree import Tree

LOCALISATIONS = ("issue", "tests", "callers")
TEMPERATURES = (None, 0.7, 1.0)
_SIBLINGS, _LINES = 4, 10


@dataclass(frozen=True, slots=True)
class Finish:
    """One committed rollout."""

    order: int
    request: ExpandRequest
    rollout: Rollout
    evaluation: Measurement | None
    reward: float | None
    duplicate_of: str | None
    cost: Cost
    """Rollout, and evaluation where this finish was the first with its patch."""

    @property
    def node(self) -> str:
        """Where it finished."""
        return self.request.node_at(max(0, len(self.rollout.steps) - 1))

    @property
    def counts(self) -> bool:
        return self.rollout.status is not Status.INFRASTRUCTURE


@dataclass(slots=True)
class State:
    config: SearchConfig
    tree: Tree = field(init=False)
    finishes: list[Finish] = field(default_factory=list[Finish])
    in_flight: list[ExpandRequest] = field(default_factory=list[ExpandRequest])
    candidates: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    """By normalised hash, in the order first seen."""
    variants: dict[str, Variant] = field(default_factory=dict[str, Variant])
    """Root node → how it differs."""
    spent: Cost = NOTHING
    done: int = 0
    """Finishes that the infrastructure did not fail."""
    done_roots: int = 0

    def __post_init__(self) -> None:
        self.tree = Tree(self.config.weights)

    @property
    def counted(self) -> int:
        """Rollouts decided on that the infrastructure did not fail."""
        return self.done + len(self.in_flight)

    @property
    def roots(self) -> int:
        return self.done_roots + sum(request.parent is None for request in self.in_flight)

    @property
    def failures_in_a_row(self) -> int:
        for number, finish in enumerate(reversed(self.finishes)):
            if finish.counts:
                return number
        return len(self.finishes)

    @property
    def window(self) -> int:
        return self.config.window if self.done >= self.config.probe else 1

    def allowance(self) -> Cost:
        """What the next rollout may cost: its share of what is neither spent nor set aside for each free
        place in the window, yet a median rollout wherever that much is left. The sum of all allowances
        never passes the limits."""
        free = self.config.limits.scaled(1 - self.config.holdback).less(self.spent)
        for request in self.in_flight:
            free = free.less(request.allowance)
        slots = min(self.window - len(self.in_flight), self.config.rollouts - self.counted)
        return free.scaled(1 / max(1, slots)).at_least(self.typical_cost(), free)

    def typical_cost(self) -> Cost:
        return typical(finish.cost for finish in self.finishes if finish.counts)

    def variant(self) -> Variant:
        """Of the next root. The first one is what a linear run would make."""
        used = list(self.variants.values())
        index = len(used)
        proposers = self.config.proposers
        # One offline root stands beside language models: a second would only offer its next patch.
        proposer = proposers[index] if index < len(proposers) else proposers[0]
        if proposer == "offline" and "llm" in proposers and index >= len(proposers):
            proposer = "llm"
        rank = sum(variant.proposer == proposer for variant in used)
        return Variant(
            prompt_seed=index,
            temperature=TEMPERATURES[rank % 3],
            localisation=LOCALISATIONS[rank % 3],
            proposer=proposer,
            rank=rank,
        )

    def siblings(self, parent: str | None) -> tuple[Sibling, ...]:
        """Finished rollouts through `parent` that were not enough, the latest last."""
        if parent is None:
            return ()
        seen: list[Sibling] = []
        for finish in self.finishes:
            node = finish.node
            below = node == parent or node.startswith(parent + ".")
            if not below or not finish.counts or (finish.evaluation and finish.evaluation.green):
                continue
            lines = [*finish.rollout.failures]
            if finish.evaluation:
                lines += [f"breaks {test}" for test in finish.evaluation.broken or ()]
                lines += [f"{test}: {why}" for test, why in sorted(finish.evaluation.failures.items())]
            patch = finish.rollout.patch.text if finish.rollout.patch else ""
            seen.append(Sibling(node, patch, tuple(lines[:_LINES])))
        return tuple(seen[-_SIBLINGS:])

    def commit(self, request: ExpandRequest, rollout: Rollout) -> Finish:
        """Take the oldest rollout in flight into the tree."""
        self.in_flight.remove(request)
        self.tree.returned(request.parent)
        infrastructure = rollout.status is Status.INFRASTRUCTURE
        evaluation = rollout.evaluation if rollout.patch is not None else None
        known = self.candidates.get(rollout.normalised_hash or "") if rollout.patch else None
        if infrastructure:
            known, evaluation = None, None
        if known:
            evaluation = known.evaluation
        value = None
        if not infrastructure:
            value = 0.0 if rollout.patch is None else reward(evaluation, self.config.weights)
        cost = rollout.cost
        finish = Finish(
            len(self.finishes), request, rollout, evaluation, value, known.node if known else None, cost
        )
        self.finishes.append(finish)
        self.spent = self.spent + cost
        if infrastructure:
            return finish
        self.done += 1
        self.done_roots += request.parent is None
        tip = request.parent
        if known:
            self._vote(known, finish)
        else:
            solved = bool(evaluation and evaluation.green)
            grown = self.tree.grow(request, rollout, value, solved=solved)
            tip = grown[-1].id if grown else request.parent
            self._nominate(finish)
        if value is not None:
            self.tree.backpropagate(tip, value, fresh=request.parent is None)
        return finish

    def _vote(self, known: Candidate, finish: Finish) -> None:
        root = finish.request.root
        voters = known.voters if root in known.voters else (*known.voters, root)
        self.candidates[known.normalised_hash] = replace(
            known, votes=(*known.votes, finish.node), voters=voters
        )

    def _nominate(self, finish: Finish) -> None:
        rollout = finish.rollout
        if rollout.patch is None or rollout.normalised_hash is None:
            return
        self.candidates[rollout.normalised_hash] = Candidate(
            node=finish.node,
            root=finish.request.root,
            order=finish.order,
            patch=rollout.patch,
            normalised_hash=rollout.normalised_hash,
            evaluation=finish.evaluation or Measurement(),
            reward=finish.reward,
            votes=(finish.node,),
            voters=(finish.request.root,),
        )
