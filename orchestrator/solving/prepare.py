"""Prepare: from a repository on the host to a workspace in a sandbox, with everything found out on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...tools.errors import RepositoryError
from ...tools.history import prepare_repository
from ...tools.project.opening import Opening, open_workspace
from ...tools.project.spec import Project
from ...tools.testing.impact.change import Change
from ...tools.testing.impact.ranking import Impact
from ...tools.testing.impact.source_tree import SourceTree
from ...tools.workspace import Workspace
from ..record.events import Inference
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
    request: SolveRequest,
    run: RunDirectory,
    base: str,
    recorder: Recorder,
    on_line: Callable[[str], None],
    left_s: Callable[[], float | None] = lambda: None,
) -> Prepared:
    """Set up the environment of the copied repository and open the sandbox. Blocking; call it in a thread.

    Raises: ProjectError, SandboxError; BudgetExceeded when set-up takes more than the `left_s` seconds.
    """
    why = "--base" if request.base else "HEAD"
    recorder.append(Inference(what="base commit", value=base, why=why, flag="--base"))
    workspace, project = open_workspace(replace(_opening(request, run, base), left_s=left_s), on_line)
    for inference in project.inferences:
        recorder.append(Inference(**asdict(inference)))
    sandbox = workspace.sandbox
    reach = "network on" if request.network else "network off"
    walls = reach if sandbox.walls else "NO WALLS: your files, your network"
    recorder.append(Inference(what="sandbox", value=sandbox.kind, why=walls, flag="--sandbox"))
    return Prepared(workspace, project, base)


def read_tests(repository: Path, base: str, cache: Path) -> Impact | None:
    """Read the commit's test files and imports, so that they can be ranked; None where it cannot be read. Blocking."""
    impact = Impact(SourceTree(repository, base), cache / "impact")
    try:
        impact.rank(Change())
    except RepositoryError:
        return None
    return impact


def _opening(request: SolveRequest, run: RunDirectory, base: str) -> Opening:
    shutil.rmtree(run.bytecode, ignore_errors=True)
    run.bytecode.mkdir(parents=True)
    opening = Opening(
        run.repository,
        base,
        run.scratch,
        cache_root(),
        sandbox=request.sandbox,
        image=request.image,
        project=request.project,
        python=request.python,
        setup=request.setup,
        test_cmd=request.test_cmd,
        network=request.network,
        label=run.path.name,
    )
    return opening if opening.in_container else replace(opening, read_only=(run.bytecode,))
