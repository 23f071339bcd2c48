"""GitHub's REST API (v3), as far as the product asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from forges.answer import Answer, page
from forges.api import Api
from forges.git import git


class GitHub(Api):
    def serve(self, path: str, query: Mapping[str, list[str]], data: Any) -> Answer:
        forge, token = self._forge, self._token
        if path == "/user":
            login = forge.users.get(token or "")
            return Answer(200, {"login": login}) if login else Answer(401, {"message": "Bad credentials"})
        match = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
        if not match or match[1] not in forge.repositories or not forge.may_see(match[1], token):
            return Answer(404, {"message": "Not Found"})
        repository, rest = match[1], match[2] or ""
        if not rest:
            return Answer(200, forge.repository_json(repository, token))
        if rest == "/forks" and data is not None:
            return forge.fork(repository, token)
        if rest == "/pulls":
            return self._pulls(repository, query, data, path)
        if rest.startswith(("/pulls/", "/collaborators/", "/actions/")):
            return self._automation(repository, rest)
        commit = re.fullmatch(r"/commits/(\w+)", rest)
        if commit:
            line = git("-C", str(forge.git_dir(repository)), "rev-list", "--parents", "-1", commit[1]).split()
            return Answer(200, {"sha": line[0], "parents": [{"sha": sha} for sha in line[1:]]})
        issue = re.fullmatch(r"/issues/(\d+)(/comments|/timeline)?", rest)
        key = (repository, int(issue[1])) if issue else None
        pulls = {(repository, pull["number"]) for pull in forge.pulls.get(repository, [])}
        if key in pulls and issue and issue[2] == "/comments" and data is not None:
            forge.comments.setdefault(key, [])
            return self._comment(key, token, data)
        if issue is None or key not in forge.issues:
            return Answer(404, {"message": "Not Found"})
        if issue[2] is None:
            return Answer(200, forge.issues[key])
        if issue[2] == "/comments" and data is not None:
            return self._comment(key, token, data)
        items = forge.comments[key] if issue[2] == "/comments" else forge.timelines.get(key, [])
        return page(f"{self._forge.url}/api/v3{path}", items, query)

    def _comment(self, key: tuple[str, int], token: str | None, data: Any) -> Answer:
        login = self._forge.users.get(token or "")
        if login is None:
            return Answer(401, {"message": "Requires authentication"})
        made = {
            "id": 1000,
            "user": {"login": login},
            "body": data["body"],
            "created_at": "2024-02-01T00:00:00Z",
        }
        self._forge.comments[key].append(made)
        return Answer(201, {**made, "html_url": f"{self._forge.issue_url(*key)}#issuecomment-1000"})

    def _automation(self, repository: str, rest: str) -> Answer:
        """What a workflow asks: a pull request, somebody's permission, the jobs of a run."""
        forge = self._forge
        kind, name = rest.strip("/").split("/")[:2]
        if kind == "pulls":
            for pull in forge.pulls.get(repository, []):
                if str(pull["number"]) == name:
                    return Answer(200, pull)
        elif kind == "collaborators":
            role = forge.roles.get((repository, name), "none")
            return Answer(200, {"permission": role, "role_name": role})
        elif (run := rest.split("/")[3]) in forge.jobs:
            return Answer(200, {"jobs": forge.jobs[run]})
        return Answer(404, {"message": "Not Found"})

    def _pulls(self, repository: str, query: Mapping[str, list[str]], data: Any, path: str) -> Answer:
        pulls = self._forge.pulls.setdefault(repository, [])
        owner = repository.split("/")[0]
        if data is None:
            wanted = query.get("head", [""])[0]
            return page(
                f"{self._forge.url}/api/v3{path}", [pull for pull in pulls if pull["label"] == wanted], query
            )
        label = data["head"] if ":" in data["head"] else f"{owner}:{data['head']}"
        if any(pull["label"] == label for pull in pulls):
            errors = [{"message": f"A pull request already exists for {label}."}]
            return Answer(422, {"message": "Validation Failed", "errors": errors})
        number = 100 + len(pulls)
        branch = data["head"].rpartition(":")[2]
        pulls.append({
            **data, "sent": data, "label": label, "number": number, "state": "open",
            "html_url": f"{self._forge.url}/{repository}/pull/{number}",
            "head": {"ref": branch, "repo": {"full_name": repository}, "sha": ""}, "base": {"ref": data["base"]},
        })  # fmt: skip
        return Answer(201, pulls[-1])
