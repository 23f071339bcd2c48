from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from forges.answer import Answer
from forges.forge_server import ForgeServer
from forges.git import git

from swe_agent.orchestrator.forges import TokenSource, open_pull_request
from swe_agent.tools.errors import ForgeError, IssueError, PatchError
from swe_agent.tools.patch import Patch

TOKEN = "token-of-fixer"
PATCH = Patch("diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n")


@pytest.fixture
def demo(forge: ForgeServer) -> ForgeServer:
    forge.add_repository("octo/demo", {"a.py": "x = 1\n"})
    forge.add_issue("octo/demo", 7)
    forge.users[TOKEN] = "fixer"
    return forge


def open_it(forge: ForgeServer, token: str | None = TOKEN, url: str | None = None, **options: object) -> str:
    env = {"GH_ENTERPRISE_TOKEN": token, "GITLAB_TOKEN": token} if token else {}
    return open_pull_request(
        url or forge.issue_url("octo/demo", 7),
        options.pop("patch", PATCH),  # type: ignore[arg-type]
        forge.head("octo/demo"),
        title="Fix it",
        body="Because.",
        tokens=TokenSource(env, ask_programs=False),
        env={},
        **options,  # type: ignore[arg-type]
    )


def shown(forge: ForgeServer, repository: str, what: str = "swe-agent/issue-7:a.py") -> str:
    return git("-C", str(forge.git_dir(repository)), "show", what)


def test_with_push_permission_it_goes_to_the_repository(demo: ForgeServer) -> None:
    demo.pushers["octo/demo"] = {TOKEN}
    assert open_it(demo) == f"{demo.url}/octo/demo/pull/100"
    (pull,) = demo.pulls["octo/demo"]
    assert (pull["sent"]["head"], pull["sent"]["base"], pull["draft"]) == ("swe-agent/issue-7", "main", True)
    assert "Closes #7" in pull["body"]
    assert shown(demo, "octo/demo") == "x = 2\n"
    assert "fixer/demo" not in demo.repositories


def test_without_push_permission_it_goes_to_a_fork(demo: ForgeServer) -> None:
    open_it(demo, draft=False)
    (pull,) = demo.pulls["octo/demo"]
    assert (pull["sent"]["head"], pull["draft"]) == ("fixer:swe-agent/issue-7", False)
    assert shown(demo, "fixer/demo") == "x = 2\n"
    log = git("-C", str(demo.git_dir("fixer/demo")), "log", "-1", "--format=%B", "swe-agent/issue-7")
    assert log.startswith("Fix it\n\nCloses http://")
    with pytest.raises(ForgeError, match="may not push"):
        open_it(demo, fork="never")


def test_a_second_time_finds_the_first(demo: ForgeServer) -> None:
    first = open_it(demo)
    second_patch = Patch(PATCH.text.replace("+x = 2", "+x = 3"))
    assert open_it(demo, patch=second_patch) == first
    assert len(demo.pulls["octo/demo"]) == 1
    assert shown(demo, "fixer/demo") == "x = 3\n"


def test_a_forge_without_drafts(demo: ForgeServer) -> None:
    refusal = {"message": "Draft pull requests are not supported in this repository."}
    demo.answer("/repos/octo/demo/pulls", Answer(422, refusal))
    open_it(demo)
    assert demo.pulls["octo/demo"][0]["draft"] is False


def test_a_refusal_is_told(demo: ForgeServer) -> None:
    refusal = {"message": "Validation Failed", "errors": [{"message": "No commits between main and x"}]}
    demo.answer("/repos/octo/demo/pulls", Answer(422, refusal))
    with pytest.raises(ForgeError, match="No commits between"):
        open_it(demo)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "closed"}, "is closed"),
        ({"locked": True}, "is locked"),
        ({"assignees": [{"login": "other"}]}, "assigned to other"),
    ],
)
def test_nobody_waits_for_it(demo: ForgeServer, fields: dict[str, Any], words: str) -> None:
    demo.add_issue("octo/demo", 7, **fields)
    with pytest.raises(IssueError, match=words):
        open_it(demo)
    assert demo.pulls == {}
    assert open_it(demo, force=True)


def test_an_issue_assigned_to_oneself_is_fine(demo: ForgeServer) -> None:
    demo.add_issue("octo/demo", 7, assignees=[{"login": "fixer"}])
    assert open_it(demo)


def test_already_fixed(demo: ForgeServer) -> None:
    fixed = {"number": 8, "html_url": "URL8", "pull_request": {"merged_at": "x"}, "body": "Fixes #7"}
    demo.timelines["octo/demo", 7] = [{"event": "cross-referenced", "source": {"issue": fixed}}]
    demo.answer("/repos/octo/demo/pulls/8", Answer(200, {"merge_commit_sha": "abc"}))
    with pytest.raises(IssueError, match="fixed already by URL8"):
        open_it(demo)


def test_no_token(demo: ForgeServer) -> None:
    with pytest.raises(ForgeError, match="needs a token"):
        open_it(demo, token=None)


def test_a_patch_that_does_not_apply_or_is_empty(demo: ForgeServer) -> None:
    with pytest.raises(PatchError, match="does not apply"):
        open_it(demo, patch=Patch(PATCH.text.replace("x = 1", "z = 1")))
    with pytest.raises(PatchError, match="empty"):
        open_it(demo, patch=Patch(""))
    assert demo.pulls == {}


def test_gitlab_merge_request(demo: ForgeServer) -> None:
    url = f"{demo.url}/octo/demo/-/issues/7"
    first = open_it(demo, url=url)
    assert first == f"{demo.url}/octo/demo/-/merge_requests/1"
    assert demo.pulls["octo/demo"][0]["title"] == "Draft: Fix it"
    assert shown(demo, "fixer/demo") == "x = 2\n"
    assert open_it(demo, url=url) == first


def test_the_token_is_in_no_request_line_and_no_file(demo: ForgeServer, tmp_path: Path) -> None:
    open_it(demo)
    assert not any(TOKEN in seen.path for seen in demo.seen)
