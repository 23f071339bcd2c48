"""task.toml of Harbor, schema 1.4. A field that the schema does not have is an error, not a shrug."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Network = Literal["public", "no-network", "allowlist"]
_SIZES = {"K": 1 / 1024, "M": 1, "G": 1024}
VERSIONS = ("1.0", "1.1", "1.2", "1.3", "1.4")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Phase(_Table):
    network_mode: Network | None = None
    allowed_hosts: list[str] | None = None


class Healthcheck(_Table):
    """Docker's: failures of the start period do not count, then `retries` in a row fail."""

    command: str
    interval_sec: float = 5.0
    timeout_sec: float = 30.0
    start_period_sec: float = 0.0
    start_interval_sec: float = 5.0
    retries: int = 3


class McpServer(_Table):
    name: str
    transport: str = "sse"
    url: str | None = None
    command: str | None = None
    args: list[str] = Field(default_factory=list)
    headers: dict[str, str] = Field(default_factory=dict)


class Tpu(_Table):
    type: str
    topology: str


def _megabytes(value: object) -> object:
    """`"2G"` of the older schema."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([\d.]+)\s*([KMG])B?", value.strip().upper())
    if not found:
        raise ValueError(f"{value!r} is no size like 512M or 2G")
    return int(float(found[1]) * _SIZES[found[2]])


Megabytes = Annotated[int, BeforeValidator(_megabytes)]


class Environment(_Table):
    build_timeout_sec: float = 600.0
    docker_image: str | None = None
    os: Annotated[Literal["linux", "windows"], BeforeValidator(lambda text: str(text).lower())] = "linux"
    cpus: float | None = None
    memory_mb: Megabytes | None = None
    storage_mb: Megabytes | None = None
    gpus: int | None = None
    gpu_types: list[str] | None = None
    tpu: Tpu | None = None
    mcp_servers: list[McpServer] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    skills_dir: str | None = None
    healthcheck: Healthcheck | None = None
    workdir: str | None = None
    network_mode: Network = "public"
    allowed_hosts: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _older_names(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for old, new in (("memory", "memory_mb"), ("storage", "storage_mb")):
            if old in data:
                data.setdefault(new, data[old])
                del data[old]
        if (allowed := data.pop("allow_internet", None)) is not None:
            data.setdefault("network_mode", "public" if allowed else "no-network")
        return data


class Collect(_Table):
    """A command that runs after the agent and before artifacts are taken."""

    command: str
    service: str = "main"
    timeout_sec: float = 60.0
    user: str | int | None = None


class AgentTable(_Phase):
    timeout_sec: float | None = None
    user: str | int | None = None


class VerifierPhase(_Phase):
    timeout_sec: float = 600.0
    env: dict[str, str] = Field(default_factory=dict)
    user: str | int | None = None
    environment_mode: Literal["shared", "separate"] | None = None
    environment: Environment | None = None
    collect: list[Collect] = Field(default_factory=list)

    @property
    def mode(self) -> Literal["shared", "separate"] | None:
        """None: this table says nothing."""
        return self.environment_mode or ("separate" if self.environment is not None else None)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.environment_mode == "shared" and self.environment is not None:
            raise ValueError("environment_mode = 'shared' contradicts [verifier.environment]")
        return self


class Artifact(_Table):
    source: str
    destination: str | None = None
    exclude: list[str] = Field(default_factory=list)
    service: str | None = None

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for path in (self.source, self.destination or ""):
            if ".." in PurePosixPath(path).parts:
                raise ValueError(f"artifact path {path!r} leaves its place")
        if self.destination and PurePosixPath(self.destination).is_absolute():
            raise ValueError(f"artifact destination {self.destination!r} is not relative")
        return self


def _artifact(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


ArtifactEntry = Annotated[Artifact, BeforeValidator(_artifact)]


class Solution(_Table):
    env: dict[str, str] = Field(default_factory=dict)


class TaskStep(_Table):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    agent: AgentTable = Field(default_factory=AgentTable)
    verifier: VerifierPhase = Field(default_factory=VerifierPhase)
    min_reward: float | dict[str, float] | None = None
    healthcheck: Healthcheck | None = None
    artifacts: list[ArtifactEntry] = Field(default_factory=list)

    def below(self, rewards: Mapping[str, float] | None) -> str | None:
        """Why the steps that follow are not run; None when the threshold is met. A number is about the key
        `reward`; a reward that is missing is below everything."""
        if self.min_reward is None:
            return None
        wanted = self.min_reward if isinstance(self.min_reward, dict) else {"reward": self.min_reward}
        for key, least in wanted.items():
            if (got := (rewards or {}).get(key, -math.inf)) < least:
                return f"{key} = {got:g} is below min_reward {least:g}"
        return None


class Package(BaseModel):
    """[task]: the name and what a registry shows."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]


class TaskConfig(_Table):
    schema_version: str = "1.4"
    source: str | None = None
    task: Package | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    environment: Environment = Field(default_factory=Environment)
    agent: AgentTable = Field(default_factory=AgentTable)
    verifier: VerifierPhase = Field(default_factory=VerifierPhase)
    solution: Solution = Field(default_factory=Solution)
    multi_step_reward_strategy: Literal["mean", "final"] | None = None
    steps: list[TaskStep] = Field(default_factory=list)
    artifacts: list[ArtifactEntry] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _older_version(cls, data: Any) -> Any:
        if isinstance(data, dict) and "version" in data:
            data = dict(data)
            data.setdefault("schema_version", data.pop("version"))
        return data

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.schema_version not in VERSIONS:
            raise ValueError(f"schema_version {self.schema_version!r} is not one of {', '.join(VERSIONS)}")
        names = [step.name.lower() for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError("two steps have one name")
        return self
