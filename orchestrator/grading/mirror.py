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


def nearest_tag(mirror: Path, commit: str) -> tuple[str, int]:
    """The commit of the tag that `git describe` names for `commit`, and how many commits deep it lies; the commit
    itself and 1 when there is none. A version derived from tags needs that much of the past: all of it takes
    hundreds of megabytes."""
    tag = git(mirror, "describe", "--tags", "--abbrev=0", "--match", "*[0-9]*", commit, check=False).strip()
    wanted = git(mirror, "rev-parse", f"{tag}^{{commit}}").strip() if tag else commit
    listed = git(mirror, "rev-list", "--parents", "--ancestry-path", f"{wanted}..{commit}").splitlines()
    parents = {name: above for name, *above in (line.split() for line in listed)}
    level, depth = {commit}, 1
    while level and wanted not in level:
        level = {above for name in level for above in parents.get(name, ())}
        depth += 1
    return wanted, depth


def _only_tags_on(repository: Path, commit: str) -> None:
    """Older tags go: in a past that is cut, `git describe` may take one of them for the nearest."""
    form = "--format=%(refname) %(objectname) %(*objectname)"
    listed = [line.split() for line in git(repository, "for-each-ref", form, "refs/tags").splitlines()]
    gone = "".join(f"delete {name}\n" for name, *ids in listed if ids[-1] != commit)
    git(repository, "update-ref", "--stdin", stdin=gone)


def checkout(mirror: Path, commit: str, destination: Path) -> None:
    """A fresh repository at `destination` that holds `commit`, its ancestors down to the nearest tag where a version
    is derived from tags (else the commit alone), and nothing later. Raises: RepositoryError."""
    if not has_commit(mirror, commit):
        raise RepositoryError(f"{mirror} lacks commit {commit}: update the mirror")
    build_files = ("setup.py", "setup.cfg", "pyproject.toml")
    by_tags = any(_VERSIONED_BY_TAGS.search(file_at(mirror, commit, name) or "") for name in build_files)
    tagged, depth = nearest_tag(mirror, commit) if by_tags else (commit, 1)
    prepare_repository(mirror, commit, destination, depth=depth)
    _only_tags_on(destination, tagged)
    with (destination / ".git/info/exclude").open("a") as file:
        file.write("__pycache__/\n*.py[co]\n*.egg-info/\n/build/\n/.tox/\n/.eggs/\n.pytest_cache/\n")
