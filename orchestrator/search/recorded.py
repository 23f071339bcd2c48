"""What rollouts and evaluations look like in the event log, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...tools.patch import Patch
from ..record.event import JsonObject
from .cost import Cost
from .node import CriticScore, Measurement, Rollout, Status, Step, VerifierScore


def evaluation_to(evaluation: Measurement) -> JsonObject:
    critic = evaluation.critic
    return {
        "applies": evaluation.applies,
        "parses": evaluation.parses,
        "reproduction": dict(evaluation.reproduction),
        "broken": None if evaluation.broken is None else list(evaluation.broken),
        "critic": critic and critic.to_json(),
        **({"verifier": evaluation.verifier.to_json()} if evaluation.verifier else {}),
        "outcomes": dict(evaluation.outcomes),
        "failures": dict(evaluation.failures),
        "generated": sorted(evaluation.generated),
        "weights": dict(evaluation.weights),
        "heard": evaluation.heard,
        "share": evaluation.share,
        "cost": evaluation.cost.to_json(),
        "wall_s": evaluation.wall_s,
    }


def evaluation_from(data: Mapping[str, Any]) -> Measurement:
    critic, broken, verifier = data["critic"], data["broken"], data.get("verifier")
    fields: JsonObject = {
        **data,
        "critic": CriticScore(**critic) if critic else None,
        "verifier": VerifierScore(**verifier) if verifier else None,
        "broken": None if broken is None else tuple(broken),
        "generated": frozenset(data["generated"]),
        "cost": Cost.from_json(data["cost"]),
    }
    return Measurement(**fields)


def _step_to(step: Step) -> JsonObject:
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
    fields: JsonObject = {**data, "evaluation": evaluation_from(evaluation) if evaluation else None}
    return Step(**fields)


def rollout_to(rollout: Rollout) -> JsonObject:
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
    fields: JsonObject = {
        **data,
        "status": Status(data["status"]),
        "patch": None if patch is None else Patch(patch),
        "steps": tuple(_step_from(step) for step in data["steps"]),
        "cost": Cost.from_json(data["cost"]),
        "evaluation": evaluation_from(evaluation) if evaluation else None,
        "failures": tuple(data["failures"]),
    }
    return Rollout(**fields)
