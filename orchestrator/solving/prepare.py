"""Prepare: from a repository on the host to a workspace in a sandbox, with everything found out on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import RepositoryError
from ...tools.history import prepare_repository
from ...tools.project.image import image_project
from ...tools.project.prepare import prepare_project, unpack_artefacts
from ...tools.project.spec import Project, TestCommand
from ...tools.sandbox import DEFAULT_ROOT, Limits, Sandbox, SandboxSpec, open_sandbox
from ...tools.testing.impact.change import Change
from ...tools.testing.impact.ranking import Impact
from ...tools.testing.impact.source_tree import SourceTree
from ...tools.workspace import Workspace
from ..record.recorder import Recorder
from ..request import SolveRequest
from .run_directory import RunDirectory, cache_root


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workspace on the base commit and how its tests are run."""

    workspace: Workspace
    project: Project
    base_commit: str


def copy_repository(request: SolveRequest, run: RunDirectory) -> str:
    """Copy the base commit and its past into the run, once; a resumed run finds it there. Blocking.
    Returns the base commit. Raises: RepositoryError."""
    run.scratch.mkdir(parents=True, exist_ok=True)
    done = run.path / "work" / "ready"
    if not done.exists():
        shutil.rmtree(run.repository, ignore_errors=True)
        base = prepare_repository(
            request.repository, request.base, run.repository, include_dirty=request.include_dirty
        )
        done.write_text(base)
    return done.read_text()


def prepare(
    request: SolveRequest, run: RunDirectory, base: str, recorder: Recorder, on_line: Callable[[str], None]
) -> Prepared:
    """Set up the environment of the copied repository and open the sandbox. Blocking; call it in a thread.

    Raises: ProjectError, SandboxError.
    """
    recorder.append(
        "inference", what="base commit", value=base, why="--base" if request.base else "HEAD", flag="--base"
    )
    kind = request.sandbox
    project = request.project
    sandbox: Sandbox | None = None
    if project is None and in_container(request):
        on_line("sandbox")
        bare = Project(TestCommand(""), root=DEFAULT_ROOT)
        sandbox = open_sandbox(kind, sandbox_spec(request, run, bare))
        try:
            project = image_project(run.repository, sandbox, setup=request.setup, test_cmd=request.test_cmd)
        except BaseException:
            sandbox.close()
            raise
    if project is None:
        on_line("environment")
        project = prepare_project(
            run.repository,
            cache=cache_root(),
            root=DEFAULT_ROOT,
            python=request.python,
            setup=request.setup,
            test_cmd=request.test_cmd,
            sandbox_kind=kind,
            on_line=on_line,
        )
    for inference in project.inferences:
        recorder.append(
            "inference", what=inference.what, value=inference.value, why=inference.why, flag=inference.flag
        )
    if sandbox is None:
        on_line("sandbox")
        sandbox = open_sandbox(kind, sandbox_spec(request, run, project))
    recorder.append(
        "inference",
        what="sandbox",
        value=sandbox.kind,
        flag="--sandbox",
        why="NO WALLS: your files, your network"
        if not sandbox.walls
        else "network on"
        if request.network
        else "network off",
    )
    unpack_artefacts(sandbox, project)
    workspace = Workspace(sandbox, base, env=project.shell_environment(sandbox.root))
    workspace.refresh_index()
    return Prepared(workspace, project, base)


def read_tests(repository: Path, base: str, cache: Path) -> Impact | None:
    """Read the commit's test files and imports, so that they can be ranked; None where it cannot be read. Blocking."""
    impact = Impact(SourceTree(repository, base), cache / "impact")
    try:
        impact.rank(Change())
    except RepositoryError:
        return None
    return impact


def in_container(request: SolveRequest) -> bool:
    return request.sandbox == "docker" or request.image is not None


def sandbox_spec(request: SolveRequest, run: RunDirectory, project: Project) -> SandboxSpec:
    """The walls of a run."""
    shutil.rmtree(run.bytecode, ignore_errors=True)
    run.bytecode.mkdir(parents=True)
    own = () if in_container(request) else (run.bytecode,)
    return SandboxSpec(
        source=run.repository,
        scratch=run.scratch,
        read_only=(*(Path(path) for path in project.read_only), *own),
        env=dict(project.env),
        network=request.network,
        limits=Limits(),
        image=request.image,
        label=run.path.name,
    )
