"""clone: a repository on the host, blobs only as far as they are needed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ...tools.errors import ForgeError, RepositoryError
from .host_git import HostGit
from .tokens import TokenSource

_REVISION = re.compile(r"[0-9a-f]{7,64}")


def clone(
    repository: str,
    destination: Path,
    *,
    base: str | None = None,
    tokens: TokenSource | None = None,
    kind: str = "github",
    timeout: float | None = None,
) -> str:
    """Clone `repository` (URL, scp-like address or path) into `destination` and check out `base`.

    History comes without its file contents (`--filter=blob:none`) where the server can, the files of `base`
    (default: the head of the default branch) with them. `timeout` bounds all of it, in seconds.

    Returns the commit checked out (hex). Raises: RepositoryError when there is no such repository or
    commit; ForgeError when the host does not answer or gives no access.
    """
    if destination.exists() and any(destination.iterdir()):
        raise RepositoryError(f"{destination} is not empty; name a fresh directory for the clone")
    if repository.startswith("-"):
        raise RepositoryError(f"{repository!r} is not a repository")
    with HostGit(repository, tokens or TokenSource(), kind) as git:
        git.check_reachable()
        git.allow(timeout)
        try:
            git.run(
                "clone", "--quiet", "--filter=blob:none", "--no-checkout", "--", git.url, str(destination)
            )
            commit = resolve(git, destination, base)
            git.run("checkout", "--quiet", "--detach", commit, cwd=destination)
        except BaseException:
            shutil.rmtree(destination, ignore_errors=True)
            raise
    return commit


def resolve(git: HostGit, checkout: Path, base: str | None) -> str:
    """The commit that `base` names in a clone, fetched by its id when no branch or tag leads to it.
    Raises: RepositoryError, ForgeError."""
    if base is not None and (base.startswith("-") or not base.strip()):
        raise RepositoryError(f"{base!r} is not a revision")
    for name in ("HEAD",) if base is None else (base, f"origin/{base}"):
        try:
            return git.run(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", cwd=checkout
            ).strip()
        except (ForgeError, RepositoryError):
            continue
    if base is None:
        raise RepositoryError(f"{git.url} has no commit yet")
    if _REVISION.fullmatch(base) or base.startswith("refs/"):
        try:
            git.run("fetch", "--quiet", "--filter=blob:none", "origin", base, cwd=checkout)
            return git.run("rev-parse", "--verify", "FETCH_HEAD^{commit}", cwd=checkout).strip()
        except (ForgeError, RepositoryError) as error:
            raise RepositoryError(f"{git.url} has no commit {base}: {error}") from error
    raise RepositoryError(f"{git.url} has no commit, branch or tag {base}; name another --base")
