"""GitHub and GitHub Enterprise, through their REST API (https://docs.github.com/rest)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ...tools.errors import ForgeError, IssueError
from ..solving.issue import Comment, Issue
from .base import PullRequest, Repository, checked_clone_url, images_in, plain_text
from .http import FORK_READY, ForgeHttp
from .reference import Reference
from .shape import of_shape
from .tokens import token_name

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class GitHub:
    """The forge of one reference. See `Forge`."""

    def __init__(self, reference: Reference, token: str | None, on_line: Callable[[str], None]) -> None:
        self.reference = reference
        self._http = ForgeHttp(
            reference.api,
            token,
            token_name=token_name(reference.host, reference.kind),
            headers=_HEADERS,
            on_line=on_line,
        )

    @of_shape
    def issue(self, *, before_fix: bool = False) -> Issue:
        asked = self.reference
        data = self._http.get(asked.issue_api, f"issue {asked.id}")
        if not isinstance(data, Mapping) or "number" not in data:
            raise ForgeError(f"{asked.host} answered issue {asked.id} with something else; is this GitHub?")
        if data.get("pull_request"):
            raise IssueError(f"{asked.id} is a pull request, not an issue; name the issue that it is about")
        self._follow_move(data)
        here = self.reference
        name = f"issue {here.id}"
        comments: list[Comment] = []
        if data.get("comments") != 0:
            pages = self._http.pages(
                f"{here.issue_api}/comments", f"the comments of {name}", {"per_page": 100}
            )
            comments = [_comment(item) for item in pages]
        repository = self.repository()
        title, body = plain_text(data.get("title")).strip(), plain_text(data.get("body")).strip()
        issue = Issue(
            id=here.id,
            title=title,
            body=body,
            comments=tuple(comments),
            labels=tuple(_label(label) for label in data.get("labels") or ()),
            url=str(data.get("html_url") or here.url),
            repository=repository.clone_url,
            images=images_in(body, *(comment.body for comment in comments)),
            source="github",
            state=str(data.get("state") or "open"),
            locked=bool(data.get("locked")),
            assignees=tuple(_login(user) for user in data.get("assignees") or ()),
        )
        commit, pull = self._fix(repository, closed=issue.state == "closed" or before_fix)
        issue = replace(issue, fixed_by=pull or commit)
        if before_fix:
            if commit is None:
                raise IssueError(f"{name} names no commit that fixed it; choose the base with --base")
            parents = self._http.get(f"{repository.api}/commits/{commit}", f"commit {commit}").get("parents")
            if not parents:
                raise IssueError(
                    f"commit {commit}, which fixed {name}, has no parent; choose the base with --base"
                )
            issue = replace(issue, base_commit=str(parents[0]["sha"]))
        return issue

    @of_shape
    def repository(self) -> Repository:
        here = self.reference
        return self._repository(self._http.get(here.project_api, f"repository {here.path}"), here.path)

    @of_shape
    def user(self) -> str:
        return str(self._http.get(f"{self.reference.api}/user", "the token's user").get("login"))

    @of_shape
    def fork(self, repository: Repository) -> Repository:
        status, data = self._http.post(f"{repository.api}/forks", f"a fork of {repository.path}", {})
        if status >= 400:
            raise ForgeError(f"{repository.path} cannot be forked: {data.get('message')}")
        name = str(data["full_name"])
        try:
            for attempt in FORK_READY.retrying(lambda error: isinstance(error, IssueError)):
                with attempt:
                    found = self._http.get(f"{self.reference.api}/repos/{name}", f"fork {name}")
                    return self._repository(found, name)
        except IssueError as error:
            raise ForgeError(f"the fork {name} is not ready after a minute") from error
        raise AssertionError("unreachable")

    @of_shape
    def open(self, repository: Repository, pull: PullRequest) -> str:
        owner = pull.head_repository.path.split("/")[0]
        head = pull.branch if pull.head_repository.path == repository.path else f"{owner}:{pull.branch}"
        request = {
            "title": pull.title,
            "body": pull.body,
            "head": head,
            "base": repository.default_branch,
            "draft": pull.draft,
            "maintainer_can_modify": True,
        }
        url = f"{repository.api}/pulls"
        status, data = self._http.post(url, "the pull request", request)
        if status == 422 and pull.draft and "draft" in _reasons(data).lower():
            status, data = self._http.post(url, "the pull request", {**request, "draft": False})
        if status == 422 or status == 409:
            query = {"head": f"{owner}:{pull.branch}", "state": "open"}
            for found in self._http.pages(url, "the open pull requests", query):
                return str(found["html_url"])
            raise ForgeError(f"{repository.path} refused the pull request: {_reasons(data)}")
        return str(data["html_url"])

    def close(self) -> None:
        self._http.close()

    def _follow_move(self, data: Mapping[str, Any]) -> None:
        """A transferred issue or a renamed repository answers with its new place; go on from there."""
        prefix = f"{self.reference.api}/repos/"
        url = str(data.get("repository_url") or "")
        path = url.removeprefix(prefix) if url.startswith(prefix) else self.reference.path
        if path.count("/") == 1:
            self.reference = replace(self.reference, path=path, number=int(data["number"]))

    def _repository(self, data: Any, path: str) -> Repository:
        if not isinstance(data, Mapping) or "clone_url" not in data:
            raise ForgeError(f"{self.reference.host} answered repository {path} with something else")
        full = str(data.get("full_name") or path)
        return Repository(
            path=full,
            clone_url=checked_clone_url(data["clone_url"], self.reference.host),
            default_branch=str(data.get("default_branch") or "main"),
            can_push=bool((data.get("permissions") or {}).get("push")),
            api=f"{self.reference.api}/repos/{full}",
        )

    def _fix(self, repository: Repository, *, closed: bool) -> tuple[str | None, str | None]:
        """The commit and the merged pull request that fixed the issue, as its timeline tells: the last
        commit that closed it, and a merged pull request of the same repository that closes it."""
        commit: str | None = None
        pull: str | None = None
        url = f"{self.reference.issue_api}/timeline"
        try:
            for event in self._http.pages(url, "the timeline", {"per_page": 100}):
                kind = event.get("event")
                if kind == "closed":
                    commit = event.get("commit_id") or commit
                elif kind == "reopened":
                    commit = pull = None
                elif kind == "cross-referenced":
                    source = (event.get("source") or {}).get("issue") or {}
                    merged = (source.get("pull_request") or {}).get("merged_at")
                    same = (
                        str(source.get("repository_url") or repository.api).lower() == repository.api.lower()
                    )
                    if merged and same and (closed or self._closes(plain_text(source.get("body")))):
                        pull = str(source.get("html_url"))
                        found = self._http.get(f"{repository.api}/pulls/{source['number']}", "the fix")
                        commit = commit or found.get("merge_commit_sha")
        except IssueError:
            return None, None  # A forge without timelines says 404; then nothing is known of a fix.
        return commit, pull

    def _closes(self, body: str) -> bool:
        """Whether a pull request's text closes this issue by one of GitHub's keywords."""
        words = ("close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved")
        number = f"#{self.reference.number}"
        tokens = body.lower().replace(":", " ").split()
        return any(
            word in words
            and target.rstrip(".,;)") in (number, self.reference.id.lower(), self.reference.url.lower())
            for word, target in pairwise(tokens)
        )


def _comment(item: Mapping[str, Any]) -> Comment:
    return Comment(_login(item.get("user")), plain_text(item.get("body")).strip(), item.get("created_at"))


def _login(user: Any) -> str:
    return str((user or {}).get("login") or "ghost")


def _label(label: Any) -> str:
    return str(label.get("name")) if isinstance(label, Mapping) else str(label)


def _reasons(data: Any) -> str:
    if not isinstance(data, Mapping):
        return str(data)
    errors = [
        str(item.get("message") or item) if isinstance(item, Mapping) else str(item)
        for item in data.get("errors") or ()
    ]
    return "; ".join([str(data.get("message") or ""), *errors])
