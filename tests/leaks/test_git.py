"""git on the host: what a repository or the caller's environment says is not listened to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swe_agent.orchestrator.grading import mirror
from swe_agent.orchestrator.solving.delivery import commit_branch, working_tree
from swe_agent.orchestrator.solving.issue import Issue
from swe_agent.tools.errors import RepositoryError
from swe_agent.tools.git import GitTimeout, execute, git, open_repo, own_filters_off
from swe_agent.tools.history import assert_no_future, prepare_repository


def run(where: Path, *words: str) -> str:
    command = ["git", "-C", str(where), "-c", "user.name=t", "-c", "user.email=t@localhost", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    run(path, "init", "-q", "-b", "main")
    (path / "a.txt").write_text("one\n")
    run(path, "add", "-A")
    run(path, "commit", "-qm", "base")
    return path


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another repository, which the caller's environment points to."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    run(path, "init", "-q")
    run(path, "commit", "-qm", "other", "--allow-empty")
    monkeypatch.setenv("GIT_DIR", str(path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(path))
    return path


def test_the_callers_variables_name_no_repository(repository: Path, elsewhere: Path, tmp_path: Path) -> None:
    head = (repository / ".git/refs/heads/main").read_text().strip()
    assert git(repository, "rev-parse", "HEAD").strip() == head
    assert mirror.has_commit(repository, head)
    assert working_tree(repository) == repository
    assert open_repo(repository).git.rev_parse("HEAD") == head
    patch = "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"
    made = commit_branch(repository, "fix", patch, head, Issue.from_text("two"))
    assert git(repository, "show", f"{made}:a.txt") == "two\n"
    assert prepare_repository(repository, head, tmp_path / "copy") == head


def hostile_partial_clone(repository: Path, tmp_path: Path) -> Path:
    """A clone that lacks a blob and says how to get it: by a command of its own. Returns the command's mark."""
    mark = tmp_path / "executed"
    blob = run(repository, "rev-parse", "HEAD:a.txt")
    script = tmp_path / "evil"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    for name, value in (
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("remote.origin.url", f"ext::{script}"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", str(script)),
        ("protocol.ext.allow", "always"),
        ("core.fsmonitor", str(script)),
        ("core.sshCommand", str(script)),
        ("core.hooksPath", str(tmp_path)),
        ("filter.x.clean", str(script)),
        ("filter.x.smudge", str(script)),
        ("credential.helper", f"!{script}"),
    ):
        run(repository, "config", name, value)
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    return mark


def test_a_hostile_configuration_runs_nothing(repository: Path, tmp_path: Path) -> None:
    mark = hostile_partial_clone(repository, tmp_path)
    with pytest.raises(RepositoryError):
        git(repository, "cat-file", "-p", "HEAD:a.txt")
    with pytest.raises(RepositoryError):
        prepare_repository(repository, None, tmp_path / "copy", include_dirty=True)
    mirror.has_commit(repository, "0" * 40)
    mirror.file_at(repository, "HEAD", "a.txt")
    git(repository, "status", check=False)
    assert not mark.exists()
    run_without_walls = subprocess.run(
        ["git", "-C", str(repository), "cat-file", "-p", "HEAD:a.txt"], capture_output=True
    )
    assert run_without_walls.returncode != 0
    assert mark.exists()  # what is tested here is a danger


def test_filters_of_a_checkout_do_not_run_when_a_patch_is_applied(repository: Path, tmp_path: Path) -> None:
    mark = hostile_partial_clone(repository, tmp_path)
    (repository / ".gitattributes").write_text("* filter=x\n")
    off = own_filters_off(repository)
    assert "filter.x.clean=" in off
    execute(repository, "add", "-A", settings=off, user_config=True)
    assert not mark.exists()


def test_a_mirror_whose_future_is_unreachable_still_shows_it(repository: Path) -> None:
    base = run(repository, "rev-parse", "HEAD")
    run(repository, "commit", "-qm", "the fix", "--allow-empty")
    run(repository, "reset", "-q", "--hard", base)
    for name in ("ORIG_HEAD", "logs"):
        subprocess.run(["rm", "-rf", str(repository / ".git" / name)], check=True)
    with pytest.raises(RepositoryError, match="commit"):
        assert_no_future(repository, base)


def test_git_ends_in_time(repository: Path) -> None:
    os.mkfifo(repository / ".git/packed-refs")
    with pytest.raises(GitTimeout):
        execute(repository, "for-each-ref", timeout=0.5)
