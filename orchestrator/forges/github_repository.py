"""GitHubRepository: what an automation asks of one repository on GitHub, beyond its issues.
https://docs.github.com/rest/collaborators, /rest/pulls, /rest/issues/comments
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...tools.errors import ForgeError, IssueError
from .base import checked_clone_url, plain_text
from .http import ForgeHttp

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_WRITERS = frozenset({"admin", "maintain", "write"})
_MEMBERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as far as a follow-up needs it."""

    number: int
    title: str
    body: str
    state: Literal["open", "closed"]
    branch: str
    commit: str
    base_branch: str
    head_repository: str
    """owner/repo that holds the branch; "" when it is gone."""


class GitHubRepository:
    """One repository through the REST API at `api` with a token. Raises everywhere: ForgeError, IssueError."""

    def __init__(
        self, api: str, path: str, token: str | None, on_line: Callable[[str], None] = lambda line: None
    ) -> None:
        self.path = path
        self._root = f"{api.rstrip('/')}/repos/{path}"
        self._http = ForgeHttp(
            api.rstrip("/"), token, token_name="GITHUB_TOKEN", headers=_HEADERS, on_line=on_line
        )

    def may_write(self, login: str, association: str = "") -> bool:
        """Whether `login` may push to the repository. Where the token may not ask that, the payload's own
        author_association decides."""
        url = f"{self._root}/collaborators/{login}/permission"
        try:
            data = self._http.get(url, f"the permission of {login}")
        except IssueError:
            return False
        except ForgeError as error:
            if "forbids" in str(error):
                return association in _MEMBERS
            raise
        if not isinstance(data, Mapping):
            return False
        return str(data.get("role_name")) in _WRITERS or str(data.get("permission")) in _WRITERS

    def clone_url(self) -> tuple[str, str]:
        """Clone URL and default branch."""
        data = self._mapping(self._http.get(self._root, f"repository {self.path}"), self.path)
        return checked_clone_url(data.get("clone_url"), self.path), str(data.get("default_branch") or "main")

    def pull(self, number: int) -> Pull:
        what = f"pull request {self.path}#{number}"
        data = self._mapping(self._http.get(f"{self._root}/pulls/{number}", what), what)
        head, base = data.get("head") or {}, data.get("base") or {}
        return Pull(
            number,
            plain_text(data.get("title")),
            plain_text(data.get("body")),
            "closed" if data.get("state") == "closed" else "open",
            str(head.get("ref") or ""),
            str(head.get("sha") or ""),
            str(base.get("ref") or ""),
            str((head.get("repo") or {}).get("full_name") or ""),
        )

    def failed_steps(self, run_url: str) -> list[str]:
        """`job: step` of what failed in a workflow run; empty when the forge does not say."""
        number = run_url.rstrip("/").rpartition("/")[2]
        if not number.isdecimal():
            return []
        try:
            data = self._http.get(f"{self._root}/actions/runs/{number}/jobs", "the jobs of the run")
        except (ForgeError, IssueError):
            return []
        jobs = data.get("jobs") if isinstance(data, Mapping) else None
        return [
            f"{job.get('name')}: {step.get('name')}"
            for job in jobs or ()
            for step in job.get("steps") or ()
            if step.get("conclusion") == "failure"
        ]

    def open_pull(self, *, title: str, body: str, branch: str, base: str, draft: bool) -> str:
        """URL of the new pull request, or of the one that is open for the branch. Raises: ForgeError also
        where the token may not open one."""
        request = {"title": title, "body": body, "head": branch, "base": base, "draft": draft}
        url = f"{self._root}/pulls"
        status, data = self._http.post(url, "the pull request", request)
        if status == 422 and draft and "draft" in str(data).lower():
            status, data = self._http.post(url, "the pull request", {**request, "draft": False})
        if status in (409, 422):
            owner = self.path.split("/")[0]
            for found in self._http.pages(
                url, "the pull requests", {"head": f"{owner}:{branch}", "state": "open"}
            ):
                return str(found["html_url"])
            raise ForgeError(f"{self.path} refused the pull request: {data}"[:300])
        return str(self._mapping(data, "the pull request").get("html_url") or "")

    def comment(self, number: int, body: str) -> str:
        """Comment on an issue or pull request. Returns the comment's URL."""
        status, data = self._http.post(
            f"{self._root}/issues/{number}/comments", f"a comment on #{number}", {"body": body}
        )
        if status >= 400:
            raise ForgeError(f"{self.path} refused the comment on #{number}")
        return str(self._mapping(data, "the comment").get("html_url") or "")

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> GitHubRepository:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _mapping(self, data: Any, what: str) -> Mapping[str, Any]:
        if not isinstance(data, Mapping):
            raise ForgeError(f"the forge answered {what} with something else; is this GitHub?")
        return data
