"""The search in the event log: written once, read back on resume.

A `rollout` event holds what one expansion returned, an `assessment` event what one evaluation measured;
both are written the moment the work is done, so nothing finished is ever done again. All other events of
the search describe logical decisions: they come in the same order whatever the number of workers, and are
not written twice by a resumed run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...tools.errors import RecordError
from ...tools.patch import Patch
from .cost import Cost
from .node import CriticScore, Evaluation, Rollout, Status, Step
from .request import Log

BY = "search"
"""Value of the `by` field of every event the search writes."""


class SearchJournal:
    """The log of a search, with what an earlier process left in it."""

    def __init__(self, log: Log, earlier: Iterable[Mapping[str, Any]] | None, seed: int) -> None:
        """Raises: RecordError when the earlier run was made with another seed."""
        self._log = log
        self._seed = seed
        self.rollouts: dict[str, Rollout] = {}
        self.assessments: dict[str, Evaluation] = {}
        self._written: Counter[str] = Counter()
        for event in earlier or ():
            if event.get("by") == BY:
                self._read(event)

    def _read(self, event: Mapping[str, Any]) -> None:
        fields = {key: value for key, value in event.items() if key not in ("seq", "at", "type")}
        if event["type"] == "rollout":
            if event["seed"] != self._seed:
                raise RecordError(
                    f"the recorded search has seed {event['seed']}, this one {self._seed}: use the same"
                )
            self.rollouts[event["node"]] = rollout_from(event["result"])
        elif event["type"] == "assessment":
            self.assessments[event["normalised_hash"]] = evaluation_from(event["evaluation"])
        else:
            self._written[_key(event["type"], fields)] += 1

    def decided(self, type: str, /, **fields: Any) -> None:
        """Write a logical event, unless an earlier process did."""
        fields = {**fields, "by": BY}
        if self._written and self._written[key := _key(type, fields)] > 0:
            self._written[key] -= 1
        else:
            self._log.append(type, **fields)

    def rollout(self, node: str, result: Rollout) -> None:
        self._log.append("rollout", node=node, seed=self._seed, result=rollout_to(result), by=BY)
        self.rollouts[node] = result

    def assessment(self, normalised_hash: str, evaluation: Evaluation) -> None:
        body = evaluation_to(evaluation)
        self._log.append("assessment", normalised_hash=normalised_hash, evaluation=body, by=BY)
        self.assessments[normalised_hash] = evaluation


def _key(type: str, fields: Mapping[str, Any]) -> str:
    return json.dumps([type, fields], sort_keys=True)


def evaluation_to(evaluation: Evaluation) -> dict[str, Any]:
    critic = evaluation.critic
    return {
        "applies": evaluation.applies,
        "parses": evaluation.parses,
        "reproduction": dict(evaluation.reproduction),
        "broken": None if evaluation.broken is None else list(evaluation.broken),
        "critic": critic and critic.to_json(),
        "outcomes": dict(evaluation.outcomes),
        "failures": dict(evaluation.failures),
        "generated": sorted(evaluation.generated),
        "weights": dict(evaluation.weights),
        "cost": evaluation.cost.to_json(),
        "wall_s": evaluation.wall_s,
    }


def evaluation_from(data: Mapping[str, Any]) -> Evaluation:
    critic, broken = data["critic"], data["broken"]
    fields: dict[str, Any] = {
        **data,
        "critic": CriticScore(**critic) if critic else None,
        "broken": None if broken is None else tuple(broken),
        "generated": frozenset(data["generated"]),
        "cost": Cost.from_json(data["cost"]),
    }
    return Evaluation(**fields)


def _step_to(step: Step) -> dict[str, Any]:
    return {
        "tree_hash": step.tree_hash,
        "tips": dict(step.tips),
        "patch": step.patch,
        "evaluation": step.evaluation and evaluation_to(step.evaluation),
        "agent": step.agent,
        "forkable": step.forkable,
    }


def _step_from(data: Mapping[str, Any]) -> Step:
    evaluation = data["evaluation"]
    fields: dict[str, Any] = {**data, "evaluation": evaluation_from(evaluation) if evaluation else None}
    return Step(**fields)


def rollout_to(rollout: Rollout) -> dict[str, Any]:
    return {
        "status": str(rollout.status),
        "patch": rollout.patch and rollout.patch.text,
        "tree_hash": rollout.tree_hash,
        "steps": [_step_to(step) for step in rollout.steps],
        "tips": dict(rollout.tips),
        "cost": rollout.cost.to_json(),
        "evaluation": rollout.evaluation and evaluation_to(rollout.evaluation),
        "failures": list(rollout.failures),
        "error": rollout.error,
        "normalised_hash": rollout.normalised_hash,
    }


def rollout_from(data: Mapping[str, Any]) -> Rollout:
    """The patch comes back as text; its hash is the recorded one."""
    patch, evaluation = data["patch"], data["evaluation"]
    fields: dict[str, Any] = {
        **data,
        "status": Status(data["status"]),
        "patch": None if patch is None else Patch(patch),
        "steps": tuple(_step_from(step) for step in data["steps"]),
        "cost": Cost.from_json(data["cost"]),
        "evaluation": evaluation_from(evaluation) if evaluation else None,
        "failures": tuple(data["failures"]),
    }
    return Rollout(**fields)
