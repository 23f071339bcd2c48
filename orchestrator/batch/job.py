"""Job and Outcome: what goes to a worker and what comes back. Plain JSON both ways, without gold data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..benchmarks.instance import Instance
from ..benchmarks.sealed import Evaluation
from .settings import InstanceSettings

Kind = Literal["finished", "infrastructure", "fatal", "interrupted"]
"""finished: a prediction (maybe an empty one). infrastructure: says nothing about the model, is done again.
fatal: no instance can succeed (key refused, unknown model). interrupted: stopped on request."""

SOLVE = "swe_agent.orchestrator.batch.solving:solve_job"
"""Dotted name of the function that works on a job: `async (Job, progress) -> Outcome`."""


@dataclass(frozen=True, slots=True)
class Job:
    """One instance, to be worked on once."""

    instance: Mapping[str, Any]
    """Fields of `Instance` without its evaluation."""
    directory: str
    """Where everything of this instance goes; kept between attempts, so that work goes on."""
    settings: InstanceSettings
    """Its budget is what is left for this instance."""
    attempt: int = 1
    entry: str = SOLVE

    @property
    def id(self) -> str:
        return str(self.instance["id"])

    def to_json(self) -> dict[str, Any]:
        return {
            "instance": dict(self.instance),
            "directory": self.directory,
            "settings": self.settings.model_dump(mode="json"),
            "attempt": self.attempt,
            "entry": self.entry,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        return cls(**{**data, "settings": InstanceSettings(**data["settings"])})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job. None is "not known", never zero."""

    id: str
    kind: Kind
    reason: str
    """verified, not_verified, limit, no_patch; or what failed: model, sandbox, environment, repository,
    image, disk_full, worker_lost, prediction_lost, crash, credentials, usage, interrupted."""
    detail: str = ""
    exit_code: int | None = None
    patch: str = ""
    model: str = ""
    cost_usd: float | None = None
    tokens: int | None = None
    steps: int | None = None
    seconds: float | None = None
    flags: tuple[str, ...] = ()
    """What the leak audit of the trajectory found."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        return cls(**{**data, "flags": tuple(data.get("flags", ()))})


def instance_to_json(instance: Instance) -> dict[str, Any]:
    """What a worker may know of an instance."""
    names = (
        "id",
        "repo",
        "base_commit",
        "problem_statement",
        "hints",
        "created_at",
        "version",
        "environment_commit",
        "image",
        "language",
        "benchmark",
        "images",
        "recipe",
        "judge",
    )
    return {name: getattr(instance, name) for name in names}


def instance_from_json(data: Mapping[str, Any]) -> Instance:
    """The instance in a worker: its evaluation data is poisoned."""
    return Instance(
        **{**data, "images": tuple(data.get("images", ()))}, evaluation=Evaluation.poisoned(data["id"])
    )
