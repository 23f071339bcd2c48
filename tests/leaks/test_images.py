"""Container images: whatever their repository holds, an opened one shows the past alone, in solve and in batch."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_agent.orchestrator.batch.images import repository_of_image
from swe_agent.tools.history import prepare_repository
from swe_agent.tools.project.opening import Opening, open_workspace
from swe_agent.tools.workspace import Workspace

pytestmark = pytest.mark.docker
LOOK = (
    "git log --all --format=%s; git branch -a; git reflog; git fsck --lost-found 2>/dev/null; "
    "git cat-file --batch-all-objects --batch-check | cut -d' ' -f1,2; git stash list; cat .git/packed-refs"
)


def git(where: Path, *words: str) -> str:
    command = ["git", "-C", str(where), "-c", "user.name=t", "-c", "user.email=t@localhost", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def image(docker_engine: str, docker_image: str, tmp_path: Path) -> Iterator[tuple[str, Path, str, str]]:
    """An image whose repository has the fix on a branch and in its stash; its source, the base, the fix."""
    import docker

    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q", "-b", "main")
    (source / "calc.py").write_text("VALUE = 1\n")
    (source / "test_calc.py").write_text("from calc import VALUE\ndef test_value(): assert VALUE == 2\n")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "base")
    base = git(source, "rev-parse", "HEAD")
    git(source, "checkout", "-q", "-b", "fixed")
    (source / "calc.py").write_text("VALUE = 2  # the fix\n")
    git(source, "commit", "-qam", "the fix")
    fix = git(source, "rev-parse", "HEAD")
    git(source, "checkout", "-q", "main")
    (source / "calc.py").write_text("VALUE = 2  # stashed\n")
    git(source, "stash")
    client = docker.DockerClient(base_url=docker_engine, timeout=120)
    container = client.containers.create(docker_image, command=["true"])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(source, "testbed")
    container.put_archive("/", buffer.getvalue())
    made = container.commit(repository="future", tag="1")
    container.remove()
    yield "future:1", source, base, fix
    client.images.remove(made.id, force=True)
    client.close()


def look(workspace: Workspace, fix: str) -> None:
    seen = workspace.sandbox.exec(LOOK).output
    assert "base" in seen
    assert "the fix" not in seen
    assert fix not in seen
    assert "stash" not in seen
    assert workspace.sandbox.exec(f"git cat-file -e {fix}").exit_code != 0
    assert workspace.diff().is_empty


def test_neither_solve_nor_batch_shows_the_fix(image: tuple[str, Path, str, str], tmp_path: Path) -> None:
    name, source, base, fix = image
    extracted = repository_of_image(name, tmp_path / "extracted")
    for kind, repository in (("solve", source), ("batch", extracted)):
        copy = tmp_path / kind / "repository"
        commit = prepare_repository(repository, None, copy)
        assert commit == base
        opening = Opening(copy, base, tmp_path / kind / "scratch", tmp_path / "cache", "docker", name)
        workspace, project = open_workspace(opening)
        with workspace:
            look(workspace, fix)
            with workspace.fork() as fork, fork.fork() as deeper:
                look(deeper, fix)
            assert project.test_command.runner == "pytest"
