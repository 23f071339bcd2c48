"""run_trial: one agent on one task, by Harbor's order of work.

Single step: environment, healthcheck, agent, collect hooks, artifacts, verifier. Several steps: the same
environment for all, each with its files, set-up, healthcheck, agent and verifier, until a step stays below
its `min_reward`. A separate verifier is a box of its own, into which only artifacts go.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...benchmarks.harbor.schema import Environment, Healthcheck, TaskStep, VerifierPhase
from ...benchmarks.harbor.task import HarborTask, resolved_env
from .agents import TrialAgent
from .artifacts import all_artifacts, collect, hand_over
from .box import Box
from .result import Phase, Rewards, Trial, TrialError, TrialFailure
from .verifier import verify

Opener = Callable[[HarborTask, Path, Environment, bool], Box]
"""(task, build context, environment, offline) → a box. Raises: SandboxError."""
_LOGS = ("/logs/agent", "/logs/verifier", "/logs/artifacts")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one verification runs."""

    context: Path
    environment: Environment
    bundled: bool
    """Whether its image brings /tests."""


def run_trial(
    task: HarborTask, agent: TrialAgent, open_box: Opener, directory: Path, *, kind: str, version: str
) -> Trial:
    """Carry out a trial and write its results below `directory`. What goes wrong by the benchmark's rules is
    in the trial. Raises: SandboxError when a box cannot be had: that says nothing about the agent."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    trial = Trial(task, agent.name, version, directory, kind)
    run = _Run(task, agent, open_box, trial)
    with trial.whole:
        try:
            with trial.environment_setup:
                run.open()
            run.all_phases()
        except TrialError as error:
            trial.failure = TrialFailure(error.kind, str(error))
        finally:
            run.close()
    trial.write()
    return trial


class _Run:
    def __init__(self, task: HarborTask, agent: TrialAgent, open_box: Opener, trial: Trial) -> None:
        self._task, self._agent, self._open_box, self._trial = task, agent, open_box, trial
        self._box: Box | None = None

    @property
    def box(self) -> Box:
        assert self._box is not None
        return self._box

    def open(self) -> None:
        task = self._task
        self._box = self._open_box(task, task.context, task.config.environment, _offline(task))
        self._trial.notes = self.box.notes
        self.box.empty(*_LOGS)
        self.box.network(task.config.environment.network_mode == "public")
        self._wait_healthy(task.config.environment.healthcheck)

    def close(self) -> None:
        if self._box is not None:
            self._trial.notes = tuple(dict.fromkeys((*self._trial.notes, *self._box.notes)))
            self._box.close()
            self._box = None

    def all_phases(self) -> None:
        task, trial = self._task, self._trial
        if not task.steps:
            phase = Phase(None, task.instruction())
            trial.phases.append(phase)
            self._phase(phase, None, trial.directory, last=True)
            trial.rewards = phase.rewards
            return
        for number, step in enumerate(task.steps, 1):
            phase = Phase(step.name, task.instruction(step))
            trial.phases.append(phase)
            if number > 1:
                self.box.empty("/logs/agent", "/logs/verifier", "/tests")
            try:
                self._prepare(step)
            except TrialError as error:
                phase.failure = TrialFailure(error.kind, str(error))
            else:
                self._phase(
                    phase, step, trial.directory / "steps" / step.name, last=number == len(task.steps)
                )
            if (phase.failure and phase.rewards is None) or step.below(phase.rewards):
                break
        trial.rewards = self._reward()

    def _prepare(self, step: TaskStep) -> None:
        folder = self._task.home / "steps" / step.name / "workdir"
        if folder.is_dir():
            self.box.put(folder, self.box.workdir)
        if (folder / "setup.sh").is_file():
            done = self.box.exec(f"bash {self.box.workdir}/setup.sh", user=self._user(step))
            if done.exit_code != 0:
                raise TrialError(
                    "RuntimeError",
                    f"setup.sh of step {step.name} ended with {done.exit_code}: {done.output[-300:]}",
                )
        self._wait_healthy(step.healthcheck)

    def _user(self, step: TaskStep | None) -> str | int | None:
        own = step.agent.user if step else None
        return own if own is not None else self._task.config.agent.user

    def _phase(self, phase: Phase, step: TaskStep | None, directory: Path, *, last: bool) -> None:
        config = self._task.config
        with phase.agent_execution:
            self._act(phase, step)
        self.box.get("/logs/agent", directory / "agent")
        for hook in (*config.verifier.collect, *(step.verifier.collect if step else ())):
            done = self.box.exec(hook.command, timeout=hook.timeout_sec, user=hook.user)
            if done.exit_code != 0:
                self._note(f"a collect hook ended with {done.exit_code}: {hook.command}")
        artifacts = all_artifacts(config.artifacts, step.artifacts if step else [])
        collect(self.box, artifacts, directory / "artifacts")
        place = _verifier_place(self._task, step)
        if place is not None and last:
            self.close()
        with phase.verifier:
            try:
                if place is None:
                    phase.rewards = self._verify_here(step, directory)
                else:
                    phase.rewards = self._verify_apart(place, step, directory)
            except TrialError as error:
                phase.failure = phase.failure or TrialFailure(error.kind, str(error))

    def _act(self, phase: Phase, step: TaskStep | None) -> None:
        config = self._task.config
        own = step.agent.timeout_sec if step else None
        timeout = own if own is not None else config.agent.timeout_sec
        self.box.network(
            _mode(step.agent.network_mode if step else None, config.agent.network_mode, config.environment)
        )
        try:
            phase.act = self._agent.act(self.box, self._task, step, timeout=timeout, user=self._user(step))
        except TrialError as error:
            phase.failure = TrialFailure(error.kind, str(error))
        if phase.act and phase.act.timed_out:
            phase.failure = TrialFailure("AgentTimeoutError", f"the agent ran longer than {timeout:.0f} s")

    def _verify_here(self, step: TaskStep | None, directory: Path) -> Rewards:
        config = self._task.config
        self.box.network(
            _mode(
                step.verifier.network_mode if step else None, config.verifier.network_mode, config.environment
            )
        )
        return self._verify(self.box, step, directory, bundled=False)

    def _verify_apart(self, place: _Place, step: TaskStep | None, directory: Path) -> Rewards:
        config = self._task.config
        mode = _mode(
            step.verifier.network_mode if step else None, config.verifier.network_mode, place.environment
        )
        offline = not mode and place.environment.network_mode != "public"
        box = self._open_box(self._task, place.context, place.environment, offline)
        try:
            box.empty(*_LOGS)
            box.network(place.environment.network_mode == "public")
            self._wait_healthy(place.environment.healthcheck, box)
            artifacts = all_artifacts(config.artifacts, step.artifacts if step else [])
            hand_over(box, artifacts, directory / "artifacts")
            box.network(mode)
            return self._verify(box, step, directory, bundled=place.bundled)
        finally:
            box.close()

    def _verify(self, box: Box, step: TaskStep | None, directory: Path, *, bundled: bool) -> Rewards:
        whole, own = self._task.config.verifier, step.verifier if step else VerifierPhase()
        timeout = own.timeout_sec if "timeout_sec" in own.model_fields_set else whole.timeout_sec
        return verify(
            box,
            () if bundled else self._task.tests(step),
            directory / "verifier",
            env=resolved_env({**whole.env, **own.env}),
            timeout=timeout,
            user=own.user if own.user is not None else whole.user,
        )

    def _wait_healthy(self, check: Healthcheck | None, box: Box | None = None) -> None:
        if check is None:
            return
        started, failed = time.monotonic(), 0
        while (box or self.box).exec(check.command, timeout=check.timeout_sec).exit_code != 0:
            if time.monotonic() - started < check.start_period_sec:
                time.sleep(check.start_interval_sec)
                continue
            failed += 1
            if failed >= check.retries:
                raise TrialError(
                    "HealthcheckError", f"the healthcheck failed {failed} times: {check.command}"
                )
            time.sleep(check.interval_sec)

    def _reward(self) -> Rewards | None:
        """`final`: the last step's; else the mean of each key over the steps with a verdict, a missing key
        counting 0."""
        given = [phase.rewards for phase in self._trial.phases]
        if self._task.config.multi_step_reward_strategy == "final":
            return given[-1] if given else None
        judged = [rewards for rewards in given if rewards is not None]
        keys = {key for rewards in judged for key in rewards}
        return {
            key: sum(rewards.get(key, 0.0) for rewards in judged) / len(judged) for key in sorted(keys)
        } or None

    def _note(self, text: str) -> None:
        self._trial.notes = (*self._trial.notes, text)


def _mode(step: str | None, task: str | None, environment: Environment) -> bool:
    """Whether a phase may reach the network: its own table, else the task's, else the environment's."""
    return (step or task or environment.network_mode) == "public"


def _offline(task: HarborTask) -> bool:
    """Whether no phase in the agent's box needs the network."""
    config = task.config
    named = [config.environment.network_mode, config.agent.network_mode, config.verifier.network_mode]
    for step in task.steps:
        named += [step.agent.network_mode, step.verifier.network_mode]
    return "public" not in named


def _verifier_place(task: HarborTask, step: TaskStep | None) -> _Place | None:
    """Where a verifier runs on its own; None where it shares the agent's box. The nearest definition counts:
    the step's, then the task's, then a fresh copy of the agent's environment."""
    config = task.config
    mode = (step.verifier.mode if step else None) or config.verifier.mode or "shared"
    if mode == "shared":
        return None
    own = step.verifier.environment if step else None
    environment = own or config.verifier.environment or config.environment
    candidates = [(config.verifier.environment, task.home / "tests")]
    if step:
        candidates.insert(0, (own, task.home / "steps" / step.name / "tests"))
    for named, folder in candidates:
        if named is not None and named.docker_image:
            return _Place(folder, environment.model_copy(update={"docker_image": named.docker_image}), True)
        if (folder / "Dockerfile").is_file():
            return _Place(folder, environment.model_copy(update={"docker_image": None}), True)
    image = config.environment.docker_image
    return _Place(task.context, environment.model_copy(update={"docker_image": image}), False)
