"""HarborGrader: a prediction, the oracle or nobody on a Harbor task; rewards become a verdict.

Resolved means that the reward is at least 1: the key `reward`, else the mean of all keys. A trial without a
reward has no verdict.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from .... import __version__
from ....tools.errors import SandboxError, SweAgentError, UsageError
from ...benchmarks.harbor.adapter import native_image_of
from ...benchmarks.harbor.dockerfile import INSTALLS, NotNative
from ...benchmarks.harbor.schema import Environment
from ...benchmarks.harbor.task import HarborTask, read_task, resolved_env
from ...benchmarks.instance import Instance
from ..grader import Grade, GraderOptions, Status
from ..grading import Verdict
from ..mirror import find_mirror
from ..official import docker_error
from ..predictions import Prediction
from .agents import Noop, Oracle, PredictedPatch, TrialAgent
from .box import Box
from .container_box import ContainerBox
from .native_box import NativeBox
from .result import Rewards, Trial
from .trial import run_trial

_TIMEOUTS = ("VerifierTimeoutError",)


class HarborGrader:
    """Grades by trials. `sandbox` docker or auto with an engine: containers; else namespaces."""

    def __init__(self, options: GraderOptions, instances: Sequence[Instance]) -> None:
        """Raises: UsageError naming the task that this machine cannot carry out, before anything runs."""
        self._options = options
        self._tasks = {item.id: read_task(Path(str(item.recipe["task"]))) for item in instances}
        if options.sandbox == "plain":
            raise UsageError("Harbor tasks write to /logs and /tests: --sandbox plain has no such places")
        problem = (
            docker_error() if options.sandbox in ("auto", "docker") else "--sandbox namespace was asked for"
        )
        if problem and options.sandbox == "docker":
            raise UsageError(f"--sandbox docker: no container engine: {problem}")
        self.kind = "namespace" if problem else "docker"
        if self.kind == "namespace":
            for task in self._tasks.values():
                if why := native_refusal(task):
                    raise UsageError(f"Harbor task {task.name} needs a container engine ({problem}): {why}")

    def environment(self, instance: Instance) -> str:
        return f"harbor {self.kind} {platform.machine()} {instance.recipe.get('checksum')}"

    def __call__(self, instance: Instance, prediction: Prediction, logs: Path) -> Grade:
        """Never raises for what the agent does."""
        if prediction.is_empty and not prediction.probe:
            return Grade(instance.id, "empty", "the patch is empty; nothing was run")
        started = time.monotonic()
        task = self._tasks[instance.id]
        try:
            agent = self._agent(instance, prediction)
            trial = run_trial(task, agent, self._open, logs / "trial", kind=self.kind, version=__version__)
        except (SweAgentError, OSError) as error:
            return Grade(instance.id, "infrastructure", " ".join(str(error).split()))
        (logs / "test_output.txt").write_text(_outputs(logs / "trial"), "utf-8", "replace")
        return _grade(instance.id, trial, round(time.monotonic() - started, 3))

    def _agent(self, instance: Instance, prediction: Prediction) -> TrialAgent:
        if prediction.probe:
            return Oracle() if prediction.agent == "oracle" else Noop()
        return PredictedPatch(prediction.patch, find_mirror(instance.repo, self._options.mirrors))

    def _open(self, task: HarborTask, context: Path, environment: Environment, offline: bool) -> Box:
        label, env = f"harbor {task.name}", resolved_env(environment.env)
        if self.kind == "docker":
            return ContainerBox(context, environment, env, offline=offline, label=label)
        try:
            image = native_image_of(task, context)
        except NotNative as error:
            raise SandboxError(f"{context}: {error}") from error
        return NativeBox(self._options.scratch, image, context, environment, env, label=label)


def native_refusal(task: HarborTask) -> str | None:
    """Why a namespace cannot carry out a task; None when it can."""
    config = task.config
    places = [(task.context, config.environment)]
    for step in (None, *task.steps):
        folder = task.home / "steps" / step.name / "tests" if step else task.home / "tests"
        if (folder / "Dockerfile").is_file():
            places.append(
                (folder, (step.verifier if step else config.verifier).environment or config.environment)
            )
        users = [step.agent.user, step.verifier.user] if step else [config.agent.user, config.verifier.user]
        if named := next((user for user in users if user not in (None, "agent", 1000)), None):
            return f"user = {named!r}: a namespace has one user"
    for folder, environment in places:
        if environment.docker_image:
            return f"docker_image = {environment.docker_image!r}"
        try:
            native_image_of(task, folder)
        except NotNative as error:
            return f"{folder.relative_to(task.home)}/Dockerfile: {error}"
    for script in sorted(task.home.rglob("*.sh")):
        if script.is_file() and (found := INSTALLS.search(script.read_text("utf-8", "replace"))):
            return f"{script.relative_to(task.home)} runs {found[1]}, which needs root or the network"
    return None


def value_of(rewards: Rewards) -> float:
    """The one number of a reward: the key `reward`, else the mean of the keys."""
    return rewards["reward"] if "reward" in rewards else sum(rewards.values()) / len(rewards)


def _grade(instance_id: str, trial: Trial, total: float) -> Grade:
    failures = [item for item in (trial.failure, *(phase.failure for phase in trial.phases)) if item]
    seconds = {"environment": trial.environment_setup.seconds or 0.0, "total": total}
    spent = [phase.verifier.seconds for phase in trial.phases if phase.verifier.seconds is not None]
    if spent:
        seconds["tests"] = round(sum(spent), 3)
    notes = (*trial.notes, *(f"{item.kind}: {item.message}" for item in failures))
    patch = next((item for item in failures if item.kind == "PatchError"), None)
    if patch is not None:
        return Grade(instance_id, "patch_failed", patch.message, seconds=seconds, notes=notes)
    if trial.rewards is None:
        first = failures[0] if failures else None
        why = f"no reward: {first.kind}: {first.message}" if first else "no reward"
        late = first is not None and first.kind in _TIMEOUTS
        return Grade(instance_id, "timeout" if late else "infrastructure", why, seconds=seconds, notes=notes)
    value = value_of(trial.rewards)
    status: Status = "resolved" if value >= 1 else "unresolved"
    shown = json.dumps(trial.rewards, sort_keys=True)
    tests = {name: number >= 1 for name, number in trial.rewards.items()}
    return Grade(instance_id, status, f"reward {value:g} {shown}", Verdict(value >= 1, tests), seconds, notes)


def _outputs(directory: Path) -> str:
    files = sorted(directory.rglob("test-stdout.txt"))
    return "\n".join(file.read_text("utf-8", "replace") for file in files)
