"""Forge: what every forge does, as values and one protocol."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from ...tools.errors import ForgeError
from ..solving.issue import Issue

_IMAGE = re.compile(
    r"!\[[^\]]*\]\(\s*<?(https?://[^\s)>]+)|<img\b[^>]*?\bsrc\s*=\s*[\"']?(https?://[^\s\"'>]+)", re.I
)


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on a forge, as far as cloning it and opening a pull request need."""

    path: str
    """`owner/repo`, after any move."""
    clone_url: str
    default_branch: str
    can_push: bool
    api: str
    """Root of the repository's part of the API."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What to open. `head` is a branch of `head_repository`."""

    title: str
    body: str
    branch: str
    head_repository: Repository
    draft: bool = True


class Forge(Protocol):
    """One issue's forge. Raises everywhere: IssueError, ForgeError."""

    def issue(self, *, before_fix: bool = False) -> Issue:
        """The issue with its comments, its state and what closed it. `before_fix` sets the base commit to
        the parent of the commit that fixed it."""
        ...

    def repository(self) -> Repository: ...

    def user(self) -> str:
        """Login of the token's owner."""
        ...

    def fork(self, repository: Repository) -> Repository:
        """The user's fork, made when there is none; waits until it can be pushed to."""
        ...

    def open(self, repository: Repository, pull: PullRequest) -> str:
        """URL of the new pull request, or of the one already open for that branch."""
        ...

    def close(self) -> None: ...


def images_in(*texts: str) -> tuple[str, ...]:
    """URLs of the images that Markdown or HTML text shows, in order, each once."""
    found = [match[1] or match[2] for text in texts for match in _IMAGE.finditer(text)]
    return tuple(dict.fromkeys(found))


def checked_clone_url(value: object, host: str) -> str:
    """A clone URL that a forge named. Raises: ForgeError when it is no address on the network: a forge must
    not make the host read a local path or run a helper program."""
    url = str(value)
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http", "ssh", "git") or not parts.hostname or "\n" in url:
        raise ForgeError(
            f"{host} names {url!r} to clone from, which is no address on the network; use --repo"
        )
    return url


def plain_text(value: object) -> str:
    """Text as forges send it (None, CR LF) in one form."""
    return "" if value is None else str(value).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
