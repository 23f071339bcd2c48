"""changes_of: the patch that `verify` judges, from a file, a checkout or a pull request."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import UsageError
from ...tools.git import git
from ...tools.history import resolve_commit


@dataclass(frozen=True, slots=True)
class Changes:
    """A patch, and the repository and revision it is for."""

    repository: Path
    patch: str
    base: str | None


def changes_of(
    repository: Path, patch: str | None, staged: bool, pull: str | None, base: str | None, folder: Path
) -> Changes:
    """`folder`: for a clone, where a pull request is asked for. Raises: UsageError, RepositoryError, ForgeError,
    IssueError."""
    if pull is not None:
        if base is not None:
            raise UsageError("--base and --pr exclude each other: a pull request has its own base")
        return _pull(pull, folder)
    if patch is not None:
        return Changes(repository, _read(patch), base)
    against = ("--cached",) if staged else ()
    flags = ("--no-color", "--no-ext-diff", "--no-textconv", "--binary", "--full-index")
    text = git(repository, "diff", *flags, *against, resolve_commit(repository, base))
    if not text.strip():
        what = "nothing is staged" if staged else "there are no uncommitted changes"
        raise UsageError(
            f"{what} in {repository}: name a patch with --patch FILE, or a pull request with --pr URL"
        )
    return Changes(repository, text, base)


def _read(patch: str) -> str:
    try:
        data = sys.stdin.buffer.read() if patch == "-" else Path(patch).read_bytes()
    except OSError as error:
        raise UsageError(f"--patch {patch} cannot be read: {error.strerror}") from error
    return data.decode("utf-8", "surrogateescape")


def _pull(url: str, folder: Path) -> Changes:
    from ..forges.github_repository import GitHubRepository
    from ..forges.host_git import HostGit
    from ..forges.reference import parse_pull
    from ..forges.tokens import TokenSource

    place = parse_pull(url)
    tokens = TokenSource()
    with GitHubRepository(place.api, place.path, tokens.token(place.api, place.kind)) as forge:
        clone_url, _ = forge.clone_url()
        base_branch = forge.pull(place.number).base_branch
    checkout = folder / "clone"
    with HostGit(clone_url, tokens, place.kind) as remote:
        remote.check_reachable()
        remote.run("clone", "--quiet", "--no-checkout", "--", remote.url, str(checkout))
        remote.run("fetch", "--quiet", "origin", f"refs/pull/{place.number}/head", cwd=checkout)
    base = git(checkout, "merge-base", f"origin/{base_branch}", "FETCH_HEAD").strip()
    text = git(
        checkout, "diff", "--no-color", "--no-ext-diff", "--binary", "--full-index", base, "FETCH_HEAD"
    )
    return Changes(checkout, text, base)
