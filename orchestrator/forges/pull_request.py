"""open_pull_request: push a patch from the host and ask for its review."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from ...tools.errors import ForgeError, IssueError, PatchError
from ...tools.patch import Patch
from ..solving.issue import Issue
from .base import Forge, PullRequest, Repository
from .fetch import open_forge
from .push import Push, push_patch
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
        push = Push(
            repository.clone_url, head.clone_url, base_commit, branch, words, user, place.host, place.kind
        )
        push_patch(push, patch, source)
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
