"""Narrator: turns decisions and commits into the events of the record's vocabulary."""

from __future__ import annotations

from ..record.decisions import (
    Decision,
    Duplicate,
    Evaluated,
    Fork,
    NodeFinished,
    NodeOpened,
    Patched,
    Selected,
    Settled,
    Vote,
)
from ..record.event import Event
from .config import Weights
from .node import Measurement
from .policy import RolloutStart
from .request import ExpandRequest, Record
from .reward import RewardPart, components
from .selection import Selection
from .state import Finish, State


class Narrator:
    def __init__(self, record: Record, state: State) -> None:
        self._record, self._state = record, state

    def _tell(self, event: Event) -> None:
        """Unless an earlier process did: the record sees to that."""
        self._record.append(event)

    def dispatched(self, request: ExpandRequest, choice: RolloutStart) -> None:
        variant = request.variant
        self._tell(Decision(what="expand", chosen=request.node, why=choice.why))
        self._tell(
            NodeOpened(
                id=request.node,
                parent=request.parent,
                kind="root" if request.parent is None else "branch",
                agent=request.agent,
                seed=request.seed,
                depth=request.depth,
                variant={
                    "prompt_seed": variant.prompt_seed,
                    "temperature": variant.temperature,
                    "localisation": variant.localisation,
                    "proposer": variant.proposer,
                },
            )
        )
        if request.parent is not None:
            self._tell(Fork(node=request.node, origin=request.parent))

    def committed(self, finish: Finish) -> None:
        request, rollout = finish.request, finish.rollout
        tell = self._tell
        for turn, step in enumerate(rollout.steps):
            if turn:
                tell(
                    NodeOpened(
                        id=request.node_at(turn),
                        parent=request.node_at(turn - 1),
                        kind="turn",
                        agent=step.agent,
                        seed=request.seed,
                        depth=request.depth + turn,
                    )
                )
            if turn < len(rollout.steps) - 1:
                tell(
                    NodeFinished(
                        node=request.node_at(turn),
                        status="finished",
                        terminal=False,
                        tips=dict(step.tips),
                        patch=None,
                        tree_hash=step.tree_hash,
                        reward=None,
                        critic=None,
                    )
                )
        patch_id = None
        if rollout.patch is not None:
            patch_id = f"p{finish.order}"
            tell(
                Patched(
                    id=patch_id,
                    node=finish.node,
                    text=rollout.patch.text,
                    sha256=rollout.patch.sha256,
                    normalised_hash=rollout.normalised_hash,
                    files=list(rollout.patch.files),
                    removed_by_hygiene=[],
                )
            )
        if finish.duplicate_of is not None:
            tell(Duplicate(node=finish.node, of=finish.duplicate_of))
        elif finish.evaluation is not None:
            self.measured(finish.node, finish.evaluation)
        if patch_id is not None:
            tell(Vote(patch=patch_id, node=finish.duplicate_of or finish.node))
        self._finished(finish, patch_id)
        tell(
            Settled(
                reserved=request.allowance.to_json(),
                settled=finish.cost.to_json(),
                spent=self._state.spent.to_json(),
            )
        )

    def measured(self, node: str, evaluation: Measurement) -> None:
        passed = evaluation.reproduction
        self._tell(
            Evaluated(
                node=node,
                kind="reproduction",
                tests={test: "passed" if good else "failed" for test, good in passed.items()},
                f2p=[sum(passed.values()), len(passed)] if passed else None,
                p2p=None,
                before=None,
                after=None,
                wall_s=evaluation.wall_s,
                valid=evaluation.sound,
            )
        )
        if evaluation.broken is not None:
            self._tell(
                Evaluated(
                    node=node,
                    kind="regression",
                    tests={test: out for test, out in evaluation.outcomes.items() if test not in passed},
                    f2p=None,
                    p2p=None,
                    before=None,
                    after={"broken": list(evaluation.broken)},
                    wall_s=None,
                    valid=evaluation.sound,
                )
            )

    def _finished(self, finish: Finish, patch_id: str | None) -> None:
        evaluation, rollout = finish.evaluation, finish.rollout
        critic = evaluation.critic if evaluation else None
        verifier = evaluation.verifier if evaluation else None
        parts = components(evaluation, self._state.config.weights)
        if rollout.patch is None:
            parts = {"patch": RewardPart(0.0, 1.0)}
        total = None
        if finish.reward is not None:
            total = {
                "total": finish.reward,
                "components": {name: part.to_json() for name, part in parts.items()},
                "spec": spec(self._state.config.weights),
            }
        self._tell(
            NodeFinished(
                node=finish.node,
                status="duplicate" if finish.duplicate_of is not None else str(rollout.status),
                terminal=True,
                tips=dict(rollout.tips),
                patch=patch_id,
                tree_hash=rollout.tree_hash,
                reward=total,
                critic=critic and critic.to_json(),
                verifier=verifier and verifier.to_json(),
                error=rollout.error,
            )
        )

    def stopped(self, why: str, cancelled: list[str]) -> None:
        self._tell(Decision(what="stop", chosen=cancelled, why=why))

    def selected(self, selection: Selection) -> None:
        chosen = selection.chosen
        self._tell(
            Selected(
                node=chosen.node if chosen else None,
                patch=f"p{chosen.order}" if chosen else None,
                confidence=selection.confidence,
                verified=selection.verified,
                abstained=selection.abstained,
                reasons=list(selection.reasons),
                votes=len(chosen.votes) if chosen else 0,
            )
        )


def spec(weights: Weights) -> dict[str, float]:
    return {"reproduction": weights.reproduction, "regression": weights.regression, "critic": weights.critic}
