"""GitLab's REST API (v4), as far as the product asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from forges.answer import Answer, page
from forges.api import Api


class GitLab(Api):
    def serve(self, path: str, query: Mapping[str, list[str]], data: Any) -> Answer:
        forge, token = self._forge, self._token
        if path == "/user":
            login = forge.users.get(token or "")
            return Answer(200, {"username": login}) if login else Answer(401, {"message": "401 Unauthorized"})
        match = re.fullmatch(r"/projects/([^/]+)(/.*)?", path)
        repository = unquote(match[1]) if match else ""
        if not match or repository not in forge.repositories or not forge.may_see(repository, token):
            return Answer(404, {"message": "404 Project Not Found"})
        rest = match[2] or ""
        if not rest:
            return Answer(200, self._project(repository, token))
        if rest == "/fork":
            forked = forge.fork(repository, token).body["full_name"]
            return Answer(201, self._project(forked, token))
        if rest == "/merge_requests":
            return self._merge_requests(repository, query, data, path)
        issue = re.fullmatch(r"/issues/(\d+)(/notes|/closed_by)?", rest)
        key = (repository, int(issue[1])) if issue else None
        if issue is None or key not in forge.issues:
            return Answer(404, {"message": "404 Not found"})
        if issue[2] is None:
            found = forge.issues[key]
            state = {"open": "opened"}.get(found["state"], found["state"])
            return Answer(200, {
                "iid": key[1], "title": found["title"], "description": found["body"], "state": state,
                "labels": [label["name"] for label in found["labels"]], "assignees": [],
                "web_url": f"{forge.url}/{repository}/-/issues/{key[1]}", "discussion_locked": None,
            })  # fmt: skip
        if issue[2] == "/closed_by":
            return Answer(200, forge.timelines.get(key, []))
        notes = [
            {"id": c["id"], "body": c["body"], "author": {"username": c["user"]["login"]}, "system": False,
             "created_at": c["created_at"]}
            for c in forge.comments[key]
        ]  # fmt: skip
        return page(
            f"{self._forge.url}/api/v4{path}",
            [*notes, {"body": "closed", "system": True, "author": {}}],
            query,
        )

    def _project(self, path: str, token: str | None) -> dict[str, Any]:
        level = 40 if token in self._forge.pushers.get(path, set()) else 10
        return {
            "id": self._forge.repositories[path]["id"],
            "path_with_namespace": path,
            "http_url_to_repo": f"{self._forge.url}/{path}.git",
            "default_branch": self._forge.repositories[path]["default_branch"],
            "permissions": {"project_access": {"access_level": level}, "group_access": None},
            "import_status": "none",
        }

    def _merge_requests(
        self, repository: str, query: Mapping[str, list[str]], data: Any, path: str
    ) -> Answer:
        forge = self._forge
        if data is None:
            branch = query["source_branch"][0]
            found = [pull for pull in forge.pulls.get(repository, []) if pull["source_branch"] == branch]
            return page(f"{self._forge.url}/api/v4{path}", found, query)
        target = next(
            name for name, item in forge.repositories.items() if item["id"] == data["target_project_id"]
        )
        pulls = forge.pulls.setdefault(target, [])
        if any(pull["source_branch"] == data["source_branch"] for pull in pulls):
            return Answer(409, {"message": ["Another open merge request already exists"]})
        pulls.append({**data, "web_url": f"{forge.url}/{target}/-/merge_requests/{len(pulls) + 1}"})
        return Answer(201, pulls[-1])
