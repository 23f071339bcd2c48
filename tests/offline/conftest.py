"""A small repository in a real sandbox."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.sandbox import Limits, SandboxSpec, open_sandbox
from swe_agent.tools.workspace import Workspace

MakeWorkspace = Callable[..., Workspace]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def project() -> Project:
    """The interpreter that runs these tests, which has pytest."""
    prefixes = dict.fromkeys(Path(p).resolve() for p in (sys.prefix, sys.base_prefix))
    outside = tuple(path for path in prefixes if not path.is_relative_to("/usr"))
    return Project(
        test_command=TestCommand("python -m pytest -q", "pytest"),
        python=Path(sys.executable),
        read_only=(*outside, Path(sys.prefix)),
        env={"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"},
    )


@pytest.fixture
def make_workspace(tmp_path: Path, project: Project) -> Iterator[MakeWorkspace]:
    """`make_workspace({path: text})` gives a workspace with these files committed."""
    with ExitStack() as stack:

        def make(files: Mapping[str, str], kind: str = "auto") -> Workspace:
            source = tmp_path / f"repo{len(list(tmp_path.iterdir()))}"
            for name, text in files.items():
                path = source / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            git(source, "init", "-q")
            git(source, "add", "-A")
            git(source, "commit", "-qm", "base")
            scratch = tmp_path / f"scratch{len(list(tmp_path.iterdir()))}"
            scratch.mkdir()
            spec = SandboxSpec(
                source=source,
                scratch=scratch,
                read_only=project.read_only,
                env=dict(project.env),
                limits=Limits(),
            )
            sandbox = stack.enter_context(open_sandbox(kind, spec))
            return Workspace(sandbox, git(source, "rev-parse", "HEAD"), env=project.env)

        yield make
