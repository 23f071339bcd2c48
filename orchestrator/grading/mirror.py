"""Mirrors: where repositories come from, and checkouts without a trace of the future."""

from __future__ import annotations

import re
from pathlib import Path

from ...tools.errors import RepositoryError
from ...tools.git import git
from ...tools.history import prepare_repository

_VERSIONED_BY_TAGS = re.compile(r"setuptools[-_]scm|versioneer|hatch-vcs|pbr\b|git describe", re.IGNORECASE)


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
    """A fresh repository at `destination` that holds `commit`, its ancestors and their tags where a version is
    derived from tags (else the commit alone), and nothing later. Raises: RepositoryError."""
    if not has_commit(mirror, commit):
        raise RepositoryError(f"{mirror} lacks commit {commit}: update the mirror")
    build_files = ("setup.py", "setup.cfg", "pyproject.toml")
    with_history = any(_VERSIONED_BY_TAGS.search(file_at(mirror, commit, name) or "") for name in build_files)
    prepare_repository(mirror, commit, destination, depth=None if with_history else 1)
    with (destination / ".git/info/exclude").open("a") as file:
        file.write("__pycache__/\n*.py[co]\n*.egg-info/\n/build/\n/.tox/\n/.eggs/\n.pytest_cache/\n")
