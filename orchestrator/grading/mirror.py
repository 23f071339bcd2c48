"""Mirrors: where repositories come from, and checkouts without a trace of the future."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ...tools.errors import RepositoryError

_ENV = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "swe-agent",
    "GIT_AUTHOR_EMAIL": "swe-agent@localhost",
    "GIT_COMMITTER_NAME": "swe-agent",
    "GIT_COMMITTER_EMAIL": "swe-agent@localhost",
    "LC_ALL": "C",
}
_VERSIONED_BY_TAGS = re.compile(r"setuptools[-_]scm|versioneer|hatch-vcs|pbr\b|git describe", re.IGNORECASE)


def git(directory: Path, *args: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run git and return its output. Raises: RepositoryError with git's own words."""
    # a mirror may belong to another user (a read-only mount)
    command = ["git", "-c", "safe.directory=*", "-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null"]
    done = subprocess.run(
        [*command, "-C", str(directory), *args],
        capture_output=True,
        env={**os.environ, **_ENV, **(env or {})},
    )
    if check and done.returncode != 0:
        raise RepositoryError(
            f"git {args[0]} failed in {directory}: {done.stderr.decode('utf-8', 'replace').strip()[-400:]}"
        )
    return done.stdout.decode("utf-8", "surrogateescape")


def find_mirror(repo: str, mirrors: Path | None) -> Path:
    """The bare or ordinary clone of `owner/name` below `mirrors`: named OWNER+NAME, OWNER__NAME,
    OWNER/NAME or NAME, with or without `.git`, or holding the clone as `repo`.
    Raises: RepositoryError listing what was looked for."""
    owner, _, name = repo.partition("/")
    if mirrors is None:
        raise RepositoryError(
            f"no local repository for {repo}: pass --repo-mirror DIR with a clone {owner}+{name}"
        )
    if not mirrors.is_dir():
        raise RepositoryError(f"--repo-mirror {mirrors} is not a directory")
    names = [f"{owner}+{name}", f"{owner}__{name}", f"{owner}/{name}", name]
    for candidate in (variant for base in names for variant in (base, f"{base}.git", f"{base}/repo")):
        path = mirrors / candidate
        if (path / "HEAD").is_file() or (path / ".git").exists():
            return path
    raise RepositoryError(f"{mirrors} holds no clone of {repo}: it may be named {', '.join(names)}")


def has_commit(mirror: Path, commit: str) -> bool:
    return git(mirror, "cat-file", "-t", f"{commit}^{{commit}}", check=False).strip() == "commit"


def commit_date(mirror: Path, commit: str) -> str:
    """Committer date, ISO 8601."""
    return git(mirror, "show", "-s", "--format=%cI", commit).strip()


def file_at(mirror: Path, commit: str, path: str) -> str | None:
    """Text of a file at a commit; None when it is not there."""
    if git(mirror, "cat-file", "-t", f"{commit}:{path}", check=False).strip() != "blob":
        return None
    return git(mirror, "show", f"{commit}:{path}")


def checkout(mirror: Path, commit: str, destination: Path) -> None:
    """A fresh repository at `destination` that holds `commit`, its ancestors where a version is derived
    from tags (else the commit alone), the tags that lead to it, and nothing later: no remote, no
    FETCH_HEAD, no reflog. Raises: RepositoryError."""
    if not has_commit(mirror, commit):
        raise RepositoryError(f"{mirror} lacks commit {commit}: update the mirror")
    build_files = ("setup.py", "setup.cfg", "pyproject.toml")
    with_history = any(_VERSIONED_BY_TAGS.search(file_at(mirror, commit, name) or "") for name in build_files)
    destination.mkdir(parents=True)
    git(destination, "init", "-q", "-b", "main")
    git(destination, "config", "core.logAllRefUpdates", "false")
    depth = [] if with_history else ["--depth=1"]
    source = mirror.resolve().as_uri()
    allow = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "uploadpack.allowAnySHA1InWant",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }
    git(destination, "fetch", "-q", "--no-tags", *depth, source, commit, env=allow)
    git(destination, "reset", "-q", "--hard", commit)
    if with_history:
        for line in git(
            mirror, "tag", "--merged", commit, "--format=%(refname:strip=2) %(*objectname) %(objectname)"
        ).splitlines():
            parts = line.split()
            # the commit that a tag leads to: annotated tags become light ones, their own object is not fetched
            git(destination, "tag", "-f", parts[0], parts[1], check=False)
    (destination / ".git/FETCH_HEAD").unlink(missing_ok=True)
    (destination / ".git/ORIG_HEAD").unlink(missing_ok=True)
    shutil.rmtree(destination / ".git/logs", ignore_errors=True)
    with (destination / ".git/info/exclude").open("a") as file:
        file.write("__pycache__/\n*.py[co]\n*.egg-info/\n/build/\n/.tox/\n/.eggs/\n.pytest_cache/\n")
    assert_no_future(destination, commit)


def assert_no_future(repository: Path, commit: str) -> None:
    """Raises: RepositoryError when a reference leads to anything but ancestors of `commit`, or a remote,
    a reflog or a fetch record is left."""
    git_dir = repository / ".git"
    if git(repository, "remote").strip():
        raise RepositoryError(f"{repository}: a remote is left")
    if git(repository, "rev-list", "--all", "--not", commit).strip():
        raise RepositoryError(f"{repository}: a commit later than {commit} is reachable")
    for name in ("FETCH_HEAD", "ORIG_HEAD", "objects/info/alternates"):
        if (git_dir / name).exists():
            raise RepositoryError(f"{repository}: .git/{name} is left")
    if any((git_dir / "logs").rglob("*")):
        raise RepositoryError(f"{repository}: a reflog is left")
