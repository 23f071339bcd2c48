"""HarborTask: a task directory, read and checked."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ....tools.errors import UsageError
from ....tools.files import reason_of
from .schema import Environment, TaskConfig, TaskStep

MAIN = "main"
_COMPOSE = ("docker-compose.yaml", "docker-compose.yml", "singularity-compose.yaml")
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class HarborTask:
    """One task. Paths are below `home`; `config` has every default filled in."""

    home: Path
    config: TaskConfig

    @property
    def name(self) -> str:
        return self.config.task.name if self.config.task else self.home.name

    @property
    def context(self) -> Path:
        """The build context of the environment."""
        return self.home / "environment"

    @property
    def steps(self) -> tuple[TaskStep, ...]:
        return tuple(self.config.steps)

    def instruction(self, step: TaskStep | None = None) -> str:
        return _text((self.home / "steps" / step.name if step else self.home) / "instruction.md")

    def tests(self, step: TaskStep | None = None) -> tuple[Path, ...]:
        """Folders that are copied to /tests, the later over the earlier."""
        folders = [self.home / "tests"]
        if step:
            folders.append(self.home / "steps" / step.name / "tests")
        return tuple(folder for folder in folders if folder.is_dir())

    def solution(self, step: TaskStep | None = None) -> Path:
        """Folder with solve.sh: the step's own, else the task's."""
        own = self.home / "steps" / step.name / "solution" if step else self.home / "solution"
        return own if own.is_dir() else self.home / "solution"

    def checksum(self) -> str:
        """sha256 over the names and contents of all files."""
        digest = hashlib.sha256()
        for path in sorted(self.home.rglob("*")):
            if path.is_file() and not path.is_symlink():
                digest.update(str(path.relative_to(self.home)).encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()


def read_task(home: Path) -> HarborTask:
    """Raises: UsageError naming the field that is malformed, missing or not done here."""
    try:
        raw = tomllib.loads(_text(home / "task.toml"))
        config = TaskConfig.model_validate(raw)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{home / 'task.toml'} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the task"
        said = "is no field of schema 1.4" if first["type"] == "extra_forbidden" else first["msg"]
        raise UsageError(f"{home / 'task.toml'}: {where}: {said}") from error
    task = HarborTask(home, config)
    if why := refusal(task):
        raise UsageError(f"Harbor task {task.name} ({home}): {why}")
    _check_files(task)
    return task


def refusal(task: HarborTask) -> str | None:
    """What the task asks for and is not done here, by the name of its field; None when there is nothing."""
    return next(_refusals(task), None)


def _refusals(task: HarborTask) -> Iterator[str]:
    config = task.config
    verifiers = [
        ("verifier", config.verifier),
        *((f"steps.{item.name}.verifier", item.verifier) for item in task.steps),
    ]
    environments = [("environment", config.environment)]
    environments += [
        (f"{name}.environment", item.environment) for name, item in verifiers if item.environment
    ]
    for name, environment in environments:
        yield from _environment_refusals(name, environment)
    agents = [("agent", config.agent), *((f"steps.{item.name}.agent", item.agent) for item in task.steps)]
    for name, phase in [*agents, *verifiers]:
        if phase.network_mode == "allowlist":
            yield f"{name}.network_mode = 'allowlist' is not done here (only public and no-network)"
    for name, verifier in verifiers:
        for hook in verifier.collect:
            if hook.service != MAIN:
                yield f"{name}.collect.service = {hook.service!r}: there is one service, main"
    for artifact in [*config.artifacts, *(item for step in task.steps for item in step.artifacts)]:
        if artifact.service not in (None, MAIN):
            yield f"artifacts.service = {artifact.service!r}: there is one service, main"
    for folder in (
        task.context,
        task.home / "tests",
        *(task.home / "steps" / item.name / "tests" for item in task.steps),
    ):
        for file in _COMPOSE:
            if (folder / file).exists():
                yield f"{folder.relative_to(task.home)}/{file}: several services are not done here"


def _environment_refusals(name: str, environment: Environment) -> Iterator[str]:
    if environment.os != "linux":
        yield f"{name}.os = {environment.os!r} is not done here"
    if environment.gpus:
        yield f"{name}.gpus = {environment.gpus} is not done here"
    if environment.tpu:
        yield f"{name}.tpu is not done here"
    if environment.network_mode == "allowlist":
        yield f"{name}.network_mode = 'allowlist' is not done here (only public and no-network)"


def unsolvable(task: HarborTask) -> str | None:
    """Why our own agents cannot work on the task (its oracle can be run all the same); None when they can."""
    config = task.config
    if task.steps:
        return "it has several steps: a prediction is one patch"
    if config.environment.mcp_servers:
        return "environment.mcp_servers: our agents have no MCP client"
    if config.environment.skills_dir:
        return "environment.skills_dir: our agents have no skills"
    if (task.home / "trajectory.json").exists():
        return "trajectory.json: our agents begin without a prior context"
    return None


def _check_files(task: HarborTask) -> None:
    for step in task.steps or (None,):
        task.instruction(step)
        if not any((folder / "test.sh").is_file() for folder in task.tests(step)):
            where = f"steps/{step.name}/tests" if step else "tests"
            raise UsageError(f"Harbor task {task.name}: {where}/test.sh is missing")
    environment = task.config.environment
    if not environment.docker_image and not (task.context / "Dockerfile").is_file():
        raise UsageError(
            f"Harbor task {task.name}: neither environment/Dockerfile nor environment.docker_image is there"
        )


def resolved_env(table: Mapping[str, str]) -> dict[str, str]:
    """Values with `${NAME}` and `${NAME:-default}` taken from this process's variables.
    Raises: UsageError for one that is not set and has no default."""

    def value(found: re.Match[str]) -> str:
        known = os.environ.get(found[1])
        if known is None and found[2] is None:
            raise UsageError(f"the task needs the environment variable {found[1]}: set it")
        return known if known is not None else found[2]

    return {name: _VARIABLE.sub(value, text) for name, text in table.items()}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
