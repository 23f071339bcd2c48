"""solve_job: one instance of a dataset through `solve`, in its own environment.

The environment is the agent's (`purpose="agent"`), never the grader's, and nothing here can read the
evaluation data: the job does not carry it.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...tools.errors import (
    BudgetExceeded,
    CredentialsError,
    ModelError,
    ProjectError,
    RecordError,
    RepositoryError,
    SandboxError,
    SweAgentError,
    UsageError,
)
from ...tools.project.spec import Project, TestCommand
from ...tools.sandbox.space import disk_is_full
from ..benchmarks.instance import Instance
from ..grading.mirror import find_mirror
from ..grading.native import prepare_environment
from ..grading.spec import EnvironmentSpec, known_repositories
from ..record.event import Line
from ..record.totals import CallTotals
from ..request import SolveRequest, SolveResult
from ..settings import Settings
from ..solving.oversight import recorded_flags
from ..solving.run_directory import RunDirectory
from ..solving.solve import solve
from .images import PULLED, ImageError, ensure_image, repository_of_image
from .job import Doing, Job, JobOutcome, Kind, instance_from_json
from .settings import InstanceSettings
from .state import is_disk_full

_REASONS: tuple[tuple[type[SweAgentError], Kind, str], ...] = (
    (CredentialsError, "fatal", "credentials"),
    (ModelError, "infrastructure", "model"),
    (ImageError, "infrastructure", "image"),
    (SandboxError, "infrastructure", "sandbox"),
    (ProjectError, "infrastructure", "environment"),
    (RepositoryError, "infrastructure", "repository"),
    (UsageError, "fatal", "usage"),
    (SweAgentError, "infrastructure", "crash"),
)


@dataclass(slots=True)
class _Progress:
    """Tells how far a run is, from its events."""

    progress: Callable[[Doing], None]
    totals: CallTotals = field(default_factory=CallTotals)
    doing: str = ""
    last: float = field(default=0.0)

    def __call__(self, type: str, fields: Line) -> None:
        if type == "call":
            self.totals.add(str(fields["agent"]), fields["usage"], is_llm=fields["is_llm"])
        elif type == "progress":
            self.doing = str(fields.get("line", ""))
        elif type == "tool":
            self.doing = f"{fields.get('agent', '')} {fields.get('name', '')}".strip()
        now = time.monotonic()
        if now - self.last >= 0.5 or type == "progress":
            self.last = now
            totals = self.totals
            self.progress({"steps": totals.calls, "cost_usd": totals.cost_usd, "doing": self.doing})


async def solve_job(job: Job, progress: Callable[[Doing], None]) -> JobOutcome:
    """Work on an instance until it has a prediction. Raises: asyncio.CancelledError when stopped; whatever
    is a bug."""
    started = time.monotonic()
    meter = _Progress(progress)
    run = RunDirectory(Path(job.directory))
    run.path.mkdir(parents=True, exist_ok=True)
    run.claim()
    try:
        known = _finished(run)
        if known is None:
            known = await _solve(job, run, meter)
        return _outcome(job, run, known, started)
    except BudgetExceeded as error:
        patch = run.patch.read_text("utf-8", "surrogateescape") if run.patch.exists() else ""
        limit = SolveResult("limit", str(error), patch, verified=False)
        return _outcome(job, run, limit, started)
    except (SweAgentError, OSError) as error:
        if isinstance(error, OSError) and not is_disk_full(error):
            raise
        # a program that met a full disk says so in its own words
        full = is_disk_full(error) or disk_is_full(run.path)
        kind, reason = ("infrastructure", "disk_full") if full else _reason(error)
        return JobOutcome(
            job.id,
            kind,
            reason,
            " ".join(str(error).split()),
            model=job.settings.model_name,
            cost_usd=meter.totals.cost_usd,
            tokens=meter.totals.tokens,
            steps=meter.totals.calls,
            seconds=round(time.monotonic() - started, 3),
        )
    finally:
        run.release()


def _reason(error: BaseException) -> tuple[Kind, str]:
    return next((kind, reason) for wanted, kind, reason in _REASONS if isinstance(error, wanted))


async def _solve(job: Job, run: RunDirectory, meter: _Progress) -> SolveResult:
    request = await asyncio.to_thread(_request, job, run, meter)
    try:
        return await solve(request, run, listener=meter)
    except RecordError:
        if not run.events.exists():
            raise
        # the record of an earlier attempt does not fit this one (another version, another environment)
        run.events.replace(run.events.with_name(f"events.{int(time.time())}.jsonl"))
        return await solve(request, run, listener=meter)


def _finished(run: RunDirectory) -> SolveResult | None:
    """The result of a run that finished just before the batch was killed."""
    try:
        summary = run.read()
    except UsageError:
        return None
    return SolveResult.from_json(summary["result"]) if summary.get("finished") else None


def _outcome(job: Job, run: RunDirectory, result: SolveResult, started: float) -> JobOutcome:
    spent = result.totals
    tokens = [spent.get("prompt_tokens"), spent.get("completion_tokens")]
    return JobOutcome(
        job.id,
        "finished",
        result.ending,
        result.status,
        int(result.exit_code),
        result.patch,
        job.settings.model_name,
        spent.get("cost_usd"),
        sum(part for part in tokens if part is not None) if None not in tokens else None,
        spent.get("calls"),
        round(time.monotonic() - started, 3),
        recorded_flags(run, str(job.instance["repo"]).rpartition("/")[2]),
    )


def _request(job: Job, run: RunDirectory, meter: _Progress) -> SolveRequest:
    """Everything `solve` needs. Builds or finds the environment; blocking."""
    settings = job.settings
    instance = instance_from_json(job.instance)
    meter("progress", {"line": "environment"})
    place = _place(instance, settings, run, meter)
    shared = {name: getattr(settings, name) for name in Settings.model_fields}
    return SolveRequest(
        **{**shared, "sandbox": place.sandbox},
        issue=instance.issue(hints=settings.hints, repository=str(place.repository)),
        repository=place.repository,
        base=place.base,
        image=place.image,
        project=place.project,
        keep_tests=False,
        complete=True,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an instance is worked on."""

    repository: Path
    base: str | None
    sandbox: str
    image: str | None = None
    project: Project | None = None


def _place(instance: Instance, settings: InstanceSettings, run: RunDirectory, meter: _Progress) -> _Place:
    """The container image, else a native environment, else whatever the repository says of itself."""
    kind, sandbox, mirrors = settings.environment, settings.sandbox, settings.repo_mirror
    if kind == "image" or (
        kind == "auto" and mirrors is None and instance.image and sandbox in ("auto", "docker")
    ):
        if not instance.image:
            raise ProjectError(f"{instance.id} names no image: use --environment native with --repo-mirror")
        if ensure_image(
            instance.image,
            pull=settings.pull,
            on_progress=lambda line: meter("progress", {"line": line}),
        ):
            (run.path / PULLED).write_text(instance.image)
        repository = repository_of_image(instance.image, run.path / "work" / "image-repository")
        return _Place(repository, None, "docker", instance.image, _image_project(settings))
    known = instance.recipe or instance.repo.lower() in {name.lower() for name in known_repositories()}
    if kind == "native" or (kind == "auto" and known and sandbox != "plain"):
        environment = prepare_environment(instance, mirrors, purpose="agent", cache=settings.cache)
        _prepare_copy(environment.repository, environment.commit, run)
        project = Project(
            _test_command(environment.spec, settings.test_cmd),
            environment.venv / "bin/python",
            (environment.venv, environment.prefix),
            environment.env,
        )
        return _Place(environment.repository, environment.commit, sandbox, project=project)
    return _Place(find_mirror(instance.repo, mirrors), instance.base_commit, sandbox)


def _prepare_copy(repository: Path, commit: str, run: RunDirectory) -> None:
    """The run's own copy, build artefacts included, which a clone would lose."""
    ready = run.path / "work" / "ready"
    if ready.exists():
        return
    shutil.rmtree(run.repository, ignore_errors=True)
    run.repository.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(repository, run.repository, symlinks=True)
    ready.write_text(commit)


def _test_command(spec: EnvironmentSpec, override: str | None) -> TestCommand:
    if override:
        return TestCommand(override, "pytest" if "pytest" in override else "custom")
    if "runtests.py" in spec.test:
        return TestCommand(spec.test, "django")
    return TestCommand("python -m pytest", "pytest")


def _image_project(settings: InstanceSettings) -> Project:
    command = settings.test_cmd or "python -m pytest"
    path = "/opt/miniconda3/envs/testbed/bin:/opt/miniconda3/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return Project(TestCommand(command, "pytest" if "pytest" in command else "custom"), env={"PATH": path})
