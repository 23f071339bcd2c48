"""Job and JobOutcome: what goes to a worker and what comes back. Plain JSON both ways, without gold data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypedDict

from ..benchmarks.instance import Instance, Judge
from ..benchmarks.sealed import SealedGold
from .settings import InstanceSettings

Kind = Literal["finished", "infrastructure", "fatal", "interrupted"]
"""finished: a prediction (maybe an empty one). infrastructure: says nothing about the model, is done again.
fatal: no instance can succeed (key refused, unknown model). interrupted: stopped on request."""

SOLVE = "swe_agent.orchestrator.batch.solving:solve_job"
"""Dotted name of the function that works on a job: `async (Job, progress) -> JobOutcome`."""


class Doing(TypedDict, total=False):
    """How far a job is; what is not said is as it was."""

    steps: int
    """Model calls."""
    cost_usd: float | None
    doing: str


class InstanceFields(TypedDict):
    """What a worker may know of an instance: all but its evaluation."""

    id: str
    repo: str
    base_commit: str
    problem_statement: str
    hints: str
    created_at: str | None
    version: str | None
    environment_commit: str | None
    image: str | None
    language: str
    benchmark: str
    images: Sequence[str]
    recipe: Mapping[str, Any]
    judge: Judge


@dataclass(frozen=True, slots=True)
class Job:
    """One instance, to be worked on once."""

    instance: InstanceFields
    directory: str
    """Where everything of this instance goes; kept between attempts, so that work goes on."""
    settings: InstanceSettings
    """Its budget is what is left for this instance."""
    attempt: int = 1
    entry: str = SOLVE

    @property
    def id(self) -> str:
        return self.instance["id"]

    def to_json(self) -> dict[str, object]:
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
class JobOutcome:
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
    def from_json(cls, data: Mapping[str, Any]) -> JobOutcome:
        return cls(**{**data, "flags": tuple(data.get("flags", ()))})


def instance_to_json(instance: Instance) -> InstanceFields:
    return {
        "id": instance.id,
        "repo": instance.repo,
        "base_commit": instance.base_commit,
        "problem_statement": instance.problem_statement,
        "hints": instance.hints,
        "created_at": instance.created_at,
        "version": instance.version,
        "environment_commit": instance.environment_commit,
        "image": instance.image,
        "language": instance.language,
        "benchmark": instance.benchmark,
        "images": instance.images,
        "recipe": instance.recipe,
        "judge": instance.judge,
    }


def instance_from_json(data: InstanceFields) -> Instance:
    """The instance in a worker: its evaluation data is poisoned."""
    fields: dict[str, Any] = {**data, "images": tuple(data.get("images", ()))}
    return Instance(**fields, evaluation=SealedGold.poisoned(data["id"]))
