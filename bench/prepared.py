"""A row of a benchmark opened for a measurement: the product's own native environment, built once, and a workspace
on the row's base commit. The row's test patch is not read here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swe_agent.orchestrator.benchmarks.instance import Instance
from swe_agent.orchestrator.benchmarks.rows import instance_of
from swe_agent.orchestrator.grading.native import prepare_environment
from swe_agent.orchestrator.solving.run_directory import cache_root
from swe_agent.tools.project.opening import Opening, open_workspace
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.workspace import Workspace


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def built(row: dict[str, Any], mirrors: Path) -> tuple[Path, str, Project]:
    """(repository, commit, how tests are run) of the agent's native environment, from the cache or built now.
    Raises: RepositoryError, ProjectError."""
    instance: Instance = instance_of(row)
    environment = prepare_environment(instance, mirrors, purpose="agent")
    django = "runtests.py" in environment.spec.test
    command = (
        TestCommand(environment.spec.test, "django") if django else TestCommand("python -m pytest", "pytest")
    )
    project = Project(
        command,
        environment.venv / "bin/python",
        (environment.venv, environment.prefix),
        environment.env,
    )
    return environment.repository, environment.commit, project


@contextmanager
def opened(row: dict[str, Any], mirrors: Path, folder: Path) -> Iterator[tuple[Workspace, Project]]:
    """A workspace on the row's base commit; `folder` holds its copy and its layers."""
    repository, commit, project = built(row, mirrors)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "scratch").mkdir(parents=True)
    shutil.copytree(repository, folder / "repository", symlinks=True)
    opening = Opening(
        folder / "repository",
        commit,
        folder / "scratch",
        cache_root(),
        project=project,
        label="bench",
    )
    workspace, project = open_workspace(opening)
    try:
        yield workspace, project
    finally:
        workspace.close()
