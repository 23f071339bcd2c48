"""open_pull_request: push a patch from the host and ask for its review."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from ...tools.errors import ForgeError, IssueError, PatchError, RepositoryError
from ...tools.patch import Patch
from ..solving.issue import Issue
from .base import Forge, PullRequest, Repository
from .cloning import resolve
from .fetch import open_forge
from .host_git import HostGit
from .reference import Reference, parse_reference
from .tokens import TokenSource, token_name

ForkPolicy = Literal["auto", "always", "never"]


def open_pull_request(
    reference: str,
    patch: Patch,
    base_commit: str,
    *,
    title: str,
    body: str,
    tokens: TokenSource | None = None,
    env: Mapping[str, str] | None = None,
    draft: bool = True,
    fork: ForkPolicy = "auto",
    force: bool = False,
    branch: str | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> str:
    """Open a pull (merge) request with `patch` for the issue at `reference`; returns its URL.

    The patch is committed on `base_commit` and pushed to `branch` (default `swe-agent/issue-N`, overwritten
    when it is there) of the repository itself, or of the user's fork where there is no permission to push
    (`fork`). When a request for that branch is open already, its URL is returned.

    Raises: IssueError when the issue is closed, locked, assigned to others or fixed already, unless
    `force`; ForgeError when there is no token or the forge refuses; PatchError when the patch does not
    apply; RepositoryError when the base commit is not there.
    """
    if patch.is_empty:
        raise PatchError("the patch is empty; there is nothing to open a pull request with")
    source = tokens or TokenSource(env)
    place = parse_reference(reference, env)
    if source.token(place.api, place.kind) is None:
        raise ForgeError(
            f"a pull request on {place.host} needs a token: set {token_name(place.host, place.kind)}"
        )
    forge = open_forge(place, source, on_line)
    try:
        issue = forge.issue()
        user = forge.user()
        if not force:
            check_wanted(issue, user)
        repository = forge.repository()
        head = _head(forge, repository, fork, on_line)
        branch = branch or f"swe-agent/issue-{place.number}"
        on_line(f"push {branch} to {head.path}")
        words = f"{title}\n\nCloses {place.url}"
        _push(_Push(repository, head, base_commit, branch, words, user), patch, place, source)
        return forge.open(repository, PullRequest(title, _closing(body, place), branch, head, draft))
    finally:
        forge.close()


def check_wanted(issue: Issue, user: str) -> None:
    """Raises: IssueError saying why nobody waits for a pull request on this issue. `user` is the login of
    who would open it; empty: not known yet, and then an assignment says nothing."""
    others = [name for name in issue.assignees if name != user]
    why = None
    if issue.state == "closed":
        why = "is closed"
    elif issue.locked:
        why = "is locked"
    elif issue.fixed_by:
        why = f"was fixed already by {issue.fixed_by}"
    elif user and others and user not in issue.assignees:
        why = f"is assigned to {', '.join(others)}"
    if why is not None:
        raise IssueError(f"{issue.id} {why}; no pull request was opened (--force opens one all the same)")


def _closing(body: str, place: Reference) -> str:
    closing = f"Closes #{place.number}"
    return body if closing in body else f"{body.rstrip()}\n\n{closing}\n".lstrip()


def _head(
    forge: Forge, repository: Repository, fork: ForkPolicy, on_line: Callable[[str], None]
) -> Repository:
    if fork == "always" or (fork == "auto" and not repository.can_push):
        on_line(f"fork {repository.path}")
        return forge.fork(repository)
    if not repository.can_push:
        raise ForgeError(f"the token may not push to {repository.path}; allow a fork, or use another token")
    return repository


class _Push:
    """What is pushed where."""

    def __init__(
        self, upstream: Repository, head: Repository, base: str, branch: str, message: str, user: str
    ) -> None:
        self.upstream, self.head, self.base = upstream, head, base
        self.branch, self.message, self.user = branch, message, user


def _push(what: _Push, patch: Patch, place: Reference, tokens: TokenSource) -> None:
    with tempfile.TemporaryDirectory(prefix="swe-agent-push-") as folder:
        checkout = Path(folder) / "checkout"
        with HostGit(what.upstream.clone_url, tokens, place.kind) as git:
            git.run("clone", "--quiet", "--filter=blob:none", "--no-checkout", "--", git.url, str(checkout))
            base = resolve(git, checkout, what.base)
            git.run("checkout", "--quiet", "--detach", base, cwd=checkout)
            try:
                git.run("apply", "--index", "--whitespace=nowarn", "-", cwd=checkout, stdin=patch.text)
            except (ForgeError, RepositoryError) as error:
                raise PatchError(f"the patch does not apply on {base[:12]}: {error}") from error
            git.run(*_identity(git, checkout, what.user, place), "commit", "--quiet", "--no-verify", "-F", "-",
                    cwd=checkout, stdin=what.message)  # fmt: skip
        with HostGit(what.head.clone_url, tokens, place.kind) as git:
            git.run(
                "push", "--quiet", "--force", "--", git.url, f"HEAD:refs/heads/{what.branch}", cwd=checkout
            )


def _identity(git: HostGit, checkout: Path, user: str, place: Reference) -> list[str]:
    """The user's own git identity, else their address on the forge."""
    try:
        if git.run("config", "user.email", cwd=checkout).strip():
            return []
    except (ForgeError, RepositoryError):
        pass
    host = place.host.split(":")[0]
    return ["-c", f"user.name={user}", "-c", f"user.email={user}@users.noreply.{host}"]
