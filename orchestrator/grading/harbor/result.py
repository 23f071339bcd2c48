"""What a trial leaves: result.json and trajectory.json in Harbor's shapes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...benchmarks.harbor.task import HarborTask

Rewards = Mapping[str, float]
ATIF = "ATIF-v1.8"


class TrialError(Exception):
    """A phase that failed by the rules of the benchmark; `kind` is the name that Harbor gives it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(slots=True)
class Timing:
    """When a phase began and ended."""

    started_at: datetime | None = None
    finished_at: datetime | None = None

    def __enter__(self) -> Timing:
        self.started_at = now()
        return self

    def __exit__(self, *_: object) -> None:
        self.finished_at = now()

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds(), 3)

    def to_json(self) -> dict[str, str | None]:
        return {"started_at": _iso(self.started_at), "finished_at": _iso(self.finished_at)}


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """`exception_info` of a result."""

    kind: str
    message: str
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> dict[str, str]:
        return {
            "exception_type": self.kind,
            "exception_message": self.message,
            "exception_traceback": "",
            "occurred_at": self.occurred_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Act:
    """What an agent did in one phase."""

    command: str
    output: str
    timed_out: bool = False


@dataclass(slots=True)
class Phase:
    """One agent phase with its verification: a whole task, or one step of it."""

    name: str | None
    instruction: str
    act: Act | None = None
    rewards: Rewards | None = None
    failure: TrialFailure | None = None
    agent_execution: Timing = field(default_factory=Timing)
    verifier: Timing = field(default_factory=Timing)

    def to_json(self) -> dict[str, Any]:
        return {
            "step_name": self.name,
            "agent_result": agent_context() if self.act else None,
            "verifier_result": {"rewards": dict(self.rewards)} if self.rewards is not None else None,
            "exception_info": self.failure.to_json() if self.failure else None,
            "agent_execution": self.agent_execution.to_json(),
            "verifier": self.verifier.to_json(),
        }


@dataclass(slots=True)
class Trial:
    """One run of one agent on one task."""

    task: HarborTask
    agent: str
    version: str
    directory: Path
    environment: str
    """`docker` or `namespace`."""
    phases: list[Phase] = field(default_factory=list[Phase])
    rewards: Rewards | None = None
    failure: TrialFailure | None = None
    notes: tuple[str, ...] = ()
    whole: Timing = field(default_factory=Timing)
    environment_setup: Timing = field(default_factory=Timing)

    def write(self) -> None:
        """`result.json` and `agent/trajectory.json` below the trial's directory."""
        (self.directory / "agent").mkdir(parents=True, exist_ok=True)
        _write(self.directory / "result.json", self.to_json())
        _write(self.directory / "agent/trajectory.json", self.trajectory())

    def to_json(self) -> dict[str, Any]:
        single = self.phases[0] if self.phases and not self.task.steps else None
        own = single.to_json() if single else {}
        home = self.task.home.resolve()
        separate = self.task.config.verifier.mode == "separate"
        return {
            "schema_version": 1,
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.directory}{_iso(self.whole.started_at)}")),
            "task_name": self.task.name,
            "trial_name": self.directory.name,
            "trial_uri": self.directory.resolve().as_uri(),
            "task_id": {"path": str(home)},
            "source": self.task.config.source,
            "task_checksum": self.task.checksum(),
            "config": {
                "task": {"path": str(home)},
                "trial_name": self.directory.name,
                "trials_dir": str(self.directory.parent),
                "agent": {"name": self.agent},
                "environment": {"type": "docker"} if self.environment == "docker" else {},
            },
            "agent_info": {"name": self.agent, "version": self.version, "model_info": None},
            "agent_result": own.get("agent_result"),
            "verifier_result": {"rewards": dict(self.rewards)} if self.rewards is not None else None,
            "verifier_environment_mode": None if self.task.steps else "separate" if separate else "shared",
            "exception_info": (self.failure.to_json() if self.failure else own.get("exception_info")),
            "started_at": _iso(self.whole.started_at),
            "finished_at": _iso(self.whole.finished_at),
            "environment_setup": self.environment_setup.to_json(),
            "agent_setup": None,
            "agent_execution": own.get("agent_execution"),
            "verifier": own.get("verifier"),
            "step_results": [phase.to_json() for phase in self.phases] if self.task.steps else None,
        }

    def trajectory(self) -> dict[str, Any]:
        """ATIF: each instruction, and what the agent ran for it."""
        steps: list[dict[str, Any]] = []
        for phase in self.phases:
            steps.append({"step_id": len(steps) + 1, "source": "user", "message": phase.instruction})
            if phase.act is None:
                continue
            call = f"call_{len(steps) + 1}"
            steps.append(
                {
                    "step_id": len(steps) + 1,
                    "source": "agent",
                    "message": "",
                    "llm_call_count": 0,
                    "tool_calls": [
                        {
                            "tool_call_id": call,
                            "function_name": "bash",
                            "arguments": {"command": phase.act.command},
                        }
                    ],
                    "observation": {
                        "results": [{"source_call_id": call, "content": phase.act.output[-20_000:]}]
                    },
                }
            )
        return {
            "schema_version": ATIF,
            "session_id": self.directory.name,
            "agent": {"name": self.agent, "version": self.version},
            "steps": steps,
        }


def agent_context() -> dict[str, None]:
    """What a model used: nothing is known here, and unknown is not zero."""
    names = (
        "n_input_tokens",
        "n_cache_tokens",
        "n_output_tokens",
        "cost_usd",
        "model_usage",
        "rollout_details",
        "metadata",
    )
    return dict.fromkeys(names)


def now() -> datetime:
    return datetime.now(UTC)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _write(path: Path, data: Mapping[str, Any]) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
    draft.replace(path)
