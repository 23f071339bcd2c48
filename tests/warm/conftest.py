"""Small repositories with tests, in a sandbox of each kind that needs no image."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.project.image import image_project
from swe_agent.tools.project.manifest import Manifest
from swe_agent.tools.project.runners import find_test_command
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.sandbox.environment import SYSTEM_PATH
from swe_agent.tools.testing.report import TestReport
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

Maker = Callable[..., tuple[Workspace, Project]]


class CountedRunner(TestRunner):
    """Remembers what it was asked to run, and runs it."""

    def __init__(self, project: Project) -> None:
        super().__init__(project, warm=False)
        self.asked = list[tuple[str, ...]]()

    def run(self, workspace: Workspace, selection: Sequence[str] = (), **options: Any) -> TestReport:
        self.asked.append(tuple(selection))
        return super().run(workspace, selection, **options)


def write_tree(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit_all(root: Path) -> str:
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base", "--allow-empty"], check=True)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Maker]:
    """(workspace, project) over a repository with the given files; the tests run with this interpreter."""
    with ExitStack() as stack:

        def made(
            files: Mapping[str, str], command: TestCommand | str | None = None, kind: str = "auto"
        ) -> tuple[Workspace, Project]:
            source = tmp_path / f"repo{len(list(tmp_path.iterdir()))}"
            source.mkdir()
            write_tree(source, files)
            base = commit_all(source)
            if isinstance(command, TestCommand):
                how = command
            else:
                how, _ = find_test_command(Manifest(source), command)
            prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
            project = Project(
                how,
                python=Path(sys.executable),
                read_only=tuple(p for p in prefixes if not p.is_relative_to("/usr")),
                env={"PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}"},
                import_paths=(".",),
            )
            spec = SandboxSpec(source, tmp_path / "scratch", read_only=project.read_only, env=project.env)
            try:
                sandbox = stack.enter_context(open_sandbox(kind, spec))
            except SandboxError as error:
                pytest.skip(f"no {kind} sandbox here: {error}")
            return Workspace(sandbox, base), project

        yield made


@pytest.fixture
def make_in_container(docker_image: str, tmp_path: Path) -> Iterator[Maker]:
    """The same in a container, with the image's own Python and pytest."""
    with ExitStack() as stack:

        def made(files: Mapping[str, str]) -> tuple[Workspace, Project]:
            source = tmp_path / "repository"
            source.mkdir()
            write_tree(source, files)
            base = commit_all(source)
            spec = SandboxSpec(source, tmp_path / "scratch", image=docker_image)
            sandbox = stack.enter_context(open_sandbox("docker", spec))
            return Workspace(sandbox, base), image_project(source, sandbox)

        yield made
