"""GitLab, on gitlab.com or elsewhere, through its REST API v4 (https://docs.gitlab.com/api/rest)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ...tools.errors import ForgeError, IssueError
from ..solving.issue import Comment, Issue
from .base import PullRequest, Repository, checked_clone_url, images_in, plain_text
from .http import FORK_READY, ForgeHttp
from .reference import Reference
from .shape import of_shape
from .tokens import token_name

_DEVELOPER = 30


class _NotReadyError(ForgeError):
    """A fork that is still being made."""


class GitLab:
    """The forge of one reference. See `Forge`."""

    def __init__(self, reference: Reference, token: str | None, on_line: Callable[[str], None]) -> None:
        self.reference = reference
        self._http = ForgeHttp(
            reference.api, token, token_name=token_name(reference.host, reference.kind), on_line=on_line
        )

    @of_shape
    def issue(self, *, before_fix: bool = False) -> Issue:
        here = self.reference
        name = f"issue {here.id}"
        data = self._http.get(here.issue_api, name)
        if not isinstance(data, Mapping) or "iid" not in data:
            raise ForgeError(f"{here.host} answered {name} with something else; is this GitLab?")
        notes = self._http.pages(
            f"{here.issue_api}/notes",
            f"the comments of {name}",
            {"per_page": 100, "sort": "asc", "order_by": "created_at"},
        )
        comments = [_comment(note) for note in notes if not note.get("system")]
        repository = self.repository()
        body = plain_text(data.get("description")).strip()
        fixes = self._merged_fixes()
        issue = Issue(
            id=here.id,
            title=plain_text(data.get("title")).strip(),
            body=body,
            comments=tuple(comments),
            labels=tuple(map(str, data.get("labels") or ())),
            url=str(data.get("web_url") or here.url),
            repository=repository.clone_url,
            images=images_in(body, *(comment.body for comment in comments)),
            source="gitlab",
            state="open" if data.get("state") == "opened" else str(data.get("state") or "open"),
            locked=bool(data.get("discussion_locked")),
            assignees=tuple(str(user.get("username")) for user in data.get("assignees") or ()),
            fixed_by=str(fixes[-1]["web_url"]) if fixes else None,
        )
        if before_fix:
            commit = next(
                (fix.get("merge_commit_sha") or fix.get("squash_commit_sha") for fix in fixes), None
            )
            if commit is None:
                raise IssueError(f"{name} names no commit that fixed it; choose the base with --base")
            found = self._http.get(f"{here.project_api}/repository/commits/{commit}", f"commit {commit}")
            issue = replace(issue, base_commit=str(found["parent_ids"][0]))
        return issue

    @of_shape
    def repository(self) -> Repository:
        here = self.reference
        return self._repository(self._http.get(here.project_api, f"project {here.path}"))

    @of_shape
    def user(self) -> str:
        return str(self._http.get(f"{self.reference.api}/user", "the token's user").get("username"))

    @of_shape
    def fork(self, repository: Repository) -> Repository:
        mine = f"{self.user()}/{repository.path.rpartition('/')[2]}"
        status, data = self._http.post(f"{repository.api}/fork", f"a fork of {repository.path}", {})
        if status >= 400 and status != 409:
            raise ForgeError(f"{repository.path} cannot be forked: {data.get('message')}")
        path = mine if status == 409 else str(data["path_with_namespace"])
        address = f"{self.reference.api}/projects/{quote(path, safe='')}"
        for attempt in FORK_READY.retrying(lambda error: isinstance(error, _NotReadyError)):
            with attempt:
                found = self._http.get(address, f"fork {path}")
                if found.get("import_status") not in (None, "none", "finished"):
                    raise _NotReadyError(f"the fork {path} is not ready after a minute")
                return self._repository(found)
        raise AssertionError("unreachable")

    @of_shape
    def open(self, repository: Repository, pull: PullRequest) -> str:
        target = self._http.get(repository.api, f"project {repository.path}")
        request = {
            "title": f"Draft: {pull.title}" if pull.draft else pull.title,
            "description": pull.body,
            "source_branch": pull.branch,
            "target_branch": repository.default_branch,
            "target_project_id": target["id"],
            "allow_collaboration": True,
        }
        status, data = self._http.post(
            f"{pull.head_repository.api}/merge_requests", "the merge request", request
        )
        if status in (409, 422):
            query = {"source_branch": pull.branch, "state": "opened"}
            for found in self._http.pages(f"{repository.api}/merge_requests", "the merge requests", query):
                return str(found["web_url"])
            raise ForgeError(f"{repository.path} refused the merge request: {data.get('message')}")
        return str(data["web_url"])

    def close(self) -> None:
        self._http.close()

    def _merged_fixes(self) -> list[Mapping[str, Any]]:
        """Merge requests that close the issue and are merged, oldest first."""
        try:
            found = self._http.pages(f"{self.reference.issue_api}/closed_by", "what closes the issue")
            merged = [merge for merge in found if merge.get("state") == "merged"]
        except IssueError:
            return []
        return sorted(merged, key=lambda merge: str(merge.get("merged_at") or ""))

    def _repository(self, data: Any) -> Repository:
        if not isinstance(data, Mapping) or "http_url_to_repo" not in data:
            raise ForgeError(f"{self.reference.host} answered the project with something else")
        access = data.get("permissions") or {}
        levels = [
            (access.get(key) or {}).get("access_level") or 0 for key in ("project_access", "group_access")
        ]
        path = str(data["path_with_namespace"])
        return Repository(
            path=path,
            clone_url=checked_clone_url(data["http_url_to_repo"], self.reference.host),
            default_branch=str(data.get("default_branch") or "main"),
            can_push=max(levels) >= _DEVELOPER,
            api=f"{self.reference.api}/projects/{quote(path, safe='')}",
        )


def _comment(note: Mapping[str, Any]) -> Comment:
    author = str((note.get("author") or {}).get("username") or "ghost")
    return Comment(author, plain_text(note.get("body")).strip(), note.get("created_at"))
