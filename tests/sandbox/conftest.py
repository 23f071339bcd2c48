"""Sandboxes under test: each kind, opened, forked, and forked from a fork."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lacking import no_walls
from sandbox.walls import LIMITS, base, box

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import Limits, Sandbox, SandboxSpec, open_sandbox

__all__ = ["base", "box"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small git repository with one commit, an untracked file and an ignored one."""
    path = tmp_path / "source"
    (path / "pkg").mkdir(parents=True)
    (path / "pkg/__init__.py").write_text("VALUE = 1\n")
    (path / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (path / "run.sh").chmod(0o755)
    (path / ".gitignore").write_text("*.log\n")
    git = ["git", "-C", str(path), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    (path / "untracked.txt").write_text("untracked\n")
    (path / "build.log").write_text("ignored\n")
    return path


Opener = Callable[..., Sandbox]


@pytest.fixture
def opener(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Iterator[Opener]:
    """Opens sandboxes of a kind over `source`, and closes them at the end."""
    with ExitStack() as stack:

        def open_kind(kind: str, limits: Limits = LIMITS, **fields: object) -> Sandbox:
            image = request.getfixturevalue("docker_image") if kind == "docker" else None
            values: dict[str, object] = {"source": source, "scratch": tmp_path / "scratch", "limits": limits}
            spec = SandboxSpec(**{**values, "image": image, **fields})  # pyright: ignore[reportArgumentType]
            try:
                sandbox = open_sandbox(kind, spec)
            except SandboxError as error:
                if kind == "namespace" and (why := no_walls()):
                    pytest.skip(why)
                raise error
            stack.callback(sandbox.close)
            return sandbox

        yield open_kind


_docker = pytest.param("docker", marks=pytest.mark.docker)


@pytest.fixture(params=["namespace", _docker, "plain"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["namespace", _docker])
def walled(request: pytest.FixtureRequest) -> str:
    """A kind that isolates."""
    return request.param


@pytest.fixture(params=[0, 2], ids=["opened", "fork-of-fork"])
def sandbox(request: pytest.FixtureRequest, kind: str, opener: Opener) -> Iterator[Sandbox]:
    """A sandbox of each kind at each depth; its ancestors stay open and have been written to."""
    with ExitStack() as stack:
        current = opener(kind)
        for level in range(request.param):
            current.write_bytes(f"level{level}.log", b"from an ancestor\n")
            current = current.fork()
            stack.callback(current.close)
        yield current
