"""fetch_issue: from what a person typed to an Issue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from ..solving.issue import Issue
from .base import Forge
from .reference import Reference, parse_reference
from .tokens import TokenSource

_FORGES = {"github": ("github", "GitHub"), "gitlab": ("gitlab", "GitLab")}


def open_forge(
    reference: Reference, tokens: TokenSource, on_line: Callable[[str], None] = lambda line: None
) -> Forge:
    """The forge of a reference. Its token is the one for its API's host."""
    module, name = _FORGES[reference.kind]
    kind = getattr(import_module(f".{module}", __package__), name)
    token = tokens.token(reference.api, reference.kind)
    return kind(reference, token, on_line)


def fetch_issue(
    reference: str,
    *,
    tokens: TokenSource | None = None,
    env: Mapping[str, str] | None = None,
    before_fix: bool = False,
    on_line: Callable[[str], None] = lambda line: None,
) -> Issue:
    """The issue at a URL or `owner/repo#N`, with its comments and the clone URL of its repository.

    Without `before_fix` its base commit is None (the head of the default branch). `on_line` hears of
    waits. Raises: IssueError when there is no such issue, or it is a pull request; ForgeError when the
    forge refuses, cannot be reached or limits the rate for more than a minute.
    """
    source = tokens or TokenSource(env)
    forge = open_forge(parse_reference(reference, env), source, on_line)
    try:
        return forge.issue(before_fix=before_fix)
    finally:
        forge.close()
