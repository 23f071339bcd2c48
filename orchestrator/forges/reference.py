"""Reference: which issue of which repository on which forge, read from what a person typed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from ...tools.errors import IssueError

Kind = Literal["github", "gitlab"]

_SHORT = re.compile(r"(?P<path>[\w.-]+/[\w.-]+)#(?P<number>\d+)")
_GITHUB = re.compile(
    r"/(?P<path>[^/]+/[^/]+)/(?P<what>issues|pull|pulls|discussions|commit)/(?P<number>[^/]+)(/.*)?"
)
_GITHUB_API = re.compile(r"(/api/v3)?/repos/(?P<path>[^/]+/[^/]+)/(?P<what>issues|pulls)/(?P<number>[^/]+)")
_GITLAB = re.compile(
    r"/(?P<path>.+?)(/-)?/(?P<what>issues|work_items|merge_requests)/(?P<number>[^/]+)(/.*)?"
)
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?")


@dataclass(frozen=True, slots=True)
class Reference:
    """An issue on a forge. `origin` is scheme://host[:port] of its web pages, `api` the root of its REST
    API; both without a trailing slash."""

    kind: Kind
    origin: str
    api: str
    path: str
    """`owner/repo`; on GitLab `group/subgroup/project`."""
    number: int

    @property
    def id(self) -> str:
        return f"{self.path}#{self.number}"

    @property
    def host(self) -> str:
        """Host with its port, if it names one."""
        return urlsplit(self.origin).netloc

    @property
    def project_api(self) -> str:
        """Root of the repository's own part of the API."""
        if self.kind == "gitlab":
            return f"{self.api}/projects/{quote(self.path, safe='')}"
        return f"{self.api}/repos/{self.path}"

    @property
    def issue_api(self) -> str:
        return f"{self.project_api}/issues/{self.number}"

    @property
    def url(self) -> str:
        middle = "/-/issues/" if self.kind == "gitlab" else "/issues/"
        return f"{self.origin}/{self.path}{middle}{self.number}"


def is_loopback(host: str) -> bool:
    """Whether a host (with or without a port) is this machine."""
    return bool(_LOOPBACK.fullmatch(re.sub(r":\d+$", "", host)))


def api_root(origin: str, env: Mapping[str, str] | None = None) -> str:
    """The root of GitHub's REST API for the pages at `origin`; `GITHUB_API_URL` overrides it.
    https://docs.github.com/enterprise-server/rest/quickstart names the forms."""
    override = (os.environ if env is None else env).get("GITHUB_API_URL", "").strip().rstrip("/")
    parts = urlsplit(origin)
    host = parts.netloc
    if override and urlsplit(override).netloc != "api.github.com":
        return override
    if host in ("github.com", "www.github.com"):
        return "https://api.github.com"
    if host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{origin}/api/v3"


def parse_reference(text: str, env: Mapping[str, str] | None = None) -> Reference:
    """`owner/repo#N`, or the URL of an issue on GitHub, GitHub Enterprise or GitLab.

    Raises: IssueError when the text names no issue, or a pull request, merge request or discussion.
    """
    text = text.strip()
    short = _SHORT.fullmatch(text)
    if short:
        origin = "https://" + (
            (os.environ if env is None else env).get("GH_HOST", "").strip() or "github.com"
        )
        return Reference("github", origin, api_root(origin, env), short["path"], int(short["number"]))
    if "://" not in text and re.match(r"[\w-]+(\.[\w-]+)+(:\d+)?/", text):
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise IssueError(f"{text} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise IssueError(
            f"{text!r} names no issue; give a URL like https://github.com/OWNER/REPO/issues/N, or OWNER/REPO#N"
        )
    host = f"[{host}]" if ":" in host else host.removeprefix("www.") if host == "www.github.com" else host
    origin = f"{parts.scheme}://{host}{port}"
    page = unquote(parts.path).rstrip("/")
    gitlab = "/-/" in page or "gitlab" in host
    match = (_GITLAB if gitlab else _GITHUB).fullmatch(page) or (
        None if gitlab else _GITHUB_API.fullmatch(page)
    )
    if match is None:
        raise IssueError(f"{text} is not the URL of an issue; expected .../OWNER/REPO/issues/N")
    what, number = match["what"], match["number"]
    if what in ("pull", "pulls", "merge_requests"):
        kind = "merge request" if gitlab else "pull request"
        raise IssueError(f"{text} is a {kind}, not an issue; name the issue that it is about")
    if what not in ("issues", "work_items"):
        raise IssueError(f"{text} is not an issue; open an issue for it, or pass its words with --text")
    if not number.isdecimal():
        raise IssueError(f"{text} holds no issue number; expected .../issues/N")
    if gitlab:
        return Reference("gitlab", origin, f"{origin}/api/v4", match["path"], int(number))
    if host == "api.github.com":
        origin = "https://github.com"
    return Reference("github", origin, api_root(origin, env), match["path"], int(number))


def parse_pull(text: str, env: Mapping[str, str] | None = None) -> Reference:
    """The URL of a pull request on GitHub or GitHub Enterprise; `number` is the pull request's.

    Raises: IssueError for anything else.
    """
    match = re.fullmatch(r"(https?://[^/\s]+/[^/\s]+/[^/\s]+)/pull/(\d+)(/\S*)?", text.strip())
    if match is None:
        hint = (
            "; of a merge request, fetch the branch and name its base with --base"
            if "merge_requests" in text
            else ""
        )
        raise IssueError(f"{text} is not the URL of a pull request; expected .../OWNER/REPO/pull/N{hint}")
    return parse_reference(f"{match[1]}/issues/{match[2]}", env)
