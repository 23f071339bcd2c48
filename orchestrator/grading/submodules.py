"""Submodules of a checkout, from the mirrors: no forge is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import RepositoryError
from ...tools.git import git
from ...tools.history import prepare_repository
from ..benchmarks.instance import Instance
from .mirror import find_mirror, has_commit


@dataclass(frozen=True, slots=True)
class Submodule:
    """One entry of .gitmodules at a commit."""

    name: str
    path: str
    repo: str
    """`owner/name`."""
    commit: str


def submodules_at(mirror: Path, commit: str, owner: str) -> list[Submodule]:
    """Submodules of a commit; an address relative to the repository is read as one of `owner`."""
    listing = git(
        mirror,
        "config",
        "--blob",
        f"{commit}:.gitmodules",
        "--get-regexp",
        r"^submodule\..*\.(path|url)$",
        check=False,
    )
    found: dict[str, dict[str, str]] = {}
    for line in listing.splitlines():
        key, _, value = line.partition(" ")
        name, _, field = key.removeprefix("submodule.").rpartition(".")
        found.setdefault(name, {})[field] = value
    modules: list[Submodule] = []
    for name, fields in found.items():
        entry = git(mirror, "ls-tree", commit, "--", fields.get("path", ""), check=False).split()
        parts = re.split(r"[/:]", fields.get("url", "").removesuffix("/").removesuffix(".git"))
        if entry[1:2] == ["commit"] and parts[-1]:
            holder = owner if fields["url"].startswith(".") or len(parts) < 2 else parts[-2]
            modules.append(Submodule(name, fields["path"], f"{holder}/{parts[-1]}", entry[2]))
    return modules


def fill_submodules(mirror: Path, instance: Instance, repository: Path, mirrors: Path | None) -> list[str]:
    """Put the submodules of the base commit in place, as repositories of one commit. Returns a note for each
    that no mirror has: its directory stays empty. Raises: RepositoryError."""
    notes: list[str] = []
    for module in submodules_at(mirror, instance.base_commit, instance.repo.partition("/")[0]):
        target = (repository / module.path).resolve()
        if not target.is_relative_to(repository.resolve()) or target == repository.resolve():
            raise RepositoryError(f"submodule path {module.path!r} is outside the repository")
        if (target / ".git").exists():  # a mirror that is a work tree brought it
            git(repository, "config", f"submodule.{module.name}.active", "true")
            continue
        try:
            source = find_mirror(module.repo, mirrors)
        except RepositoryError:
            source = None
        if source is None or not has_commit(source, module.commit):
            notes.append(
                f"submodule {module.path} is empty: no mirror holds {module.repo} at {module.commit[:10]}"
            )
            continue
        if target.is_dir():
            target.rmdir()  # git makes it, empty
        prepare_repository(source, module.commit, target, depth=1)
        git(repository, "config", f"submodule.{module.name}.active", "true")
    return notes
