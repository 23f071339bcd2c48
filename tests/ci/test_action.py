"""The action's steps, as the shell scripts that they are, against a forge on loopback with GitHub's payloads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ci.workflow import ROOT, Bare, Workflow, run_action, secrets_in
from forges.answer import Answer
from forges.forge_server import ForgeServer
from forges.git import git

from swe_agent.examples import materialise

TOKEN = "ghs_PlantedSecretToken0123456789abcdef"
RIGHT = "return -(-minutes // MINUTES_PER_HOUR)"
TITLE = "Charged one hour too much $(touch /tmp/swe-agent-injected) `id`"
BODY = "charge() is one hour too high for stays that end on the hour.\n::error::injected\n${{ github.token }}"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeServer]:
    with ForgeServer(tmp_path) as server:
        server.add_repository("octo/parking", source=materialise(tmp_path / "parking"))
        server.users[TOKEN] = "github-actions[bot]"
        server.pushers["octo/parking"] = {TOKEN}
        server.roles["octo/parking", "maintainer"] = "write"
        server.roles["octo/parking", "stranger"] = "read"
        server.add_issue("octo/parking", 7, title=TITLE, body=BODY)
        yield server


def event(forge: ForgeServer, actor: str, **more: Any) -> dict[str, Any]:
    issue = {
        "number": 7,
        "state": "open",
        "title": TITLE,
        "body": BODY,
        "html_url": forge.issue_url("octo/parking", 7),
    }
    return {"repository": {"full_name": "octo/parking"}, "sender": {"login": actor}, "issue": issue, **more}


def labeled(forge: ForgeServer, actor: str) -> dict[str, Any]:
    return event(forge, actor, action="labeled", label={"name": "swe-agent"})


def mention(forge: ForgeServer, actor: str, body: str) -> dict[str, Any]:
    comment = {"body": body, "user": {"login": actor}, "author_association": "CONTRIBUTOR"}
    return event(forge, actor, action="created", comment=comment)


@pytest.fixture
def act(tmp_path: Path, forge: ForgeServer, cache: Path) -> Any:
    def run(name: str, payload: dict[str, Any], **inputs: str) -> Workflow:
        return run_action(
            tmp_path / "runner", name, payload, server=forge.url, token=TOKEN, cache=cache,
            **{"sandbox": "auto", **inputs},
        )  # fmt: skip

    return run


def test_a_labelled_issue_becomes_a_pull_request(act: Any, forge: ForgeServer, tmp_path: Path) -> None:
    done = act("issues", labeled(forge, "maintainer"))
    assert done.conclusion == "verified", done.log
    (pull,) = forge.pulls["octo/parking"]
    assert done.outputs["publish"]["pull-request-url"] == pull["html_url"]
    assert pull["sent"]["head"] == "swe-agent/issue-7"
    assert pull["sent"]["draft"] is True
    assert "Closes #7" in pull["sent"]["body"]
    assert "red before, green after: 2" in pull["sent"]["body"]
    assert "swe-agent solve --issue" in pull["sent"]["body"]
    pushed = git("-C", str(forge.git_dir("octo/parking")), "show", "swe-agent/issue-7:parking/tariff.py")
    assert RIGHT in pushed or "//" in pushed
    assert pull["html_url"] in forge.comments["octo/parking", 7][-1]["body"]
    assert "red before, green after" in done.summary
    # what people wrote was data all the way, and the token stayed with the steps that need it
    assert not Path("/tmp/swe-agent-injected").exists()
    assert TOKEN not in done.log
    assert secrets_in(tmp_path / "runner", TOKEN) == []
    commands = [line for line in done.log.splitlines() if line.startswith("::error")]
    assert commands == []


def test_a_bare_debian_root_is_enough(forge: ForgeServer, debian_root: Path, tmp_path: Path) -> None:
    """Git and Python alone: the first step installs the command."""
    action = tmp_path / "action"
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.split("\0"):
        if name and not name.startswith(("tests/", "bench/")):
            (action / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, action / name)
    done = run_action(
        tmp_path / "runner", "issues", labeled(forge, "maintainer"), server=forge.url, token=TOKEN,
        cache=tmp_path / "runner/cache", machine=Bare(action, root=debian_root),
    )  # fmt: skip
    assert (done.conclusion, done.codes) == ("verified", [0, 0, 0]), done.log
    (pull,) = forge.pulls["octo/parking"]
    assert "red before, green after: 2" in pull["sent"]["body"]
    assert secrets_in(tmp_path / "runner", TOKEN) == []


def test_where_actions_may_open_no_pull_request(act: Any, forge: ForgeServer) -> None:
    """The branch is pushed and a person opens the pull request with one click."""
    words = "GitHub Actions is not permitted to create or approve pull requests."
    forge.answer("/repos/octo/parking/pulls", Answer(403, {"message": words}))
    done = act("issue_comment", mention(forge, "maintainer", "@swe-agent please fix this"))
    assert done.conclusion == "verified", done.log
    link = f"{forge.url}/octo/parking/compare/"
    assert done.outputs["publish"]["pull-request-url"].startswith(link)
    assert link in forge.comments["octo/parking", 7][-1]["body"]
    assert "swe-agent/issue-7" in git(
        "-C", str(forge.git_dir("octo/parking")), "branch", "--list", "swe-agent/*"
    )
    assert Path(done.outputs["publish"]["patch-file"]).read_text().startswith("diff --git")


def test_a_review_of_our_pull_request_gets_a_commit(act: Any, forge: ForgeServer, tmp_path: Path) -> None:
    repository = forge.git_dir("octo/parking")
    head = git("-C", str(repository), "rev-parse", "HEAD").strip()
    git("-C", str(repository), "branch", "swe-agent/issue-7", head)
    pull = {"number": 100, "state": "open", "title": "Rounding", "body": "", "label": "x", "sent": {},
            "head": {"ref": "swe-agent/issue-7", "sha": head, "repo": {"full_name": "octo/parking"}},
            "base": {"ref": "main"}}  # fmt: skip
    forge.pulls["octo/parking"] = [pull]
    payload = {
        "action": "created", "repository": {"full_name": "octo/parking"}, "pull_request": pull,
        "comment": {"body": "charge() is still one hour too high for stays that end on the hour",
                    "user": {"login": "maintainer"}, "author_association": "MEMBER",
                    "path": "parking/tariff.py", "line": 20, "diff_hunk": "@@"},
    }  # fmt: skip
    done = act("pull_request_review_comment", payload)
    assert done.conclusion == "verified", done.log
    log = git("-C", str(repository), "log", "--format=%H", "swe-agent/issue-7").split()
    assert log[1] == head
    assert "new commit" in forge.comments["octo/parking", 100][-1]["body"]


@pytest.mark.parametrize(
    ("name", "who"),
    [("issues", "stranger"), ("issue_comment", "stranger"), ("issue_comment", "helpful[bot]")],
)
def test_a_stranger_starts_nothing(act: Any, forge: ForgeServer, name: str, who: str) -> None:
    payload = labeled(forge, who) if name == "issues" else mention(forge, who, "@swe-agent fix it")
    done = act(name, payload)
    assert done.conclusion == "skipped"
    assert done.outputs["plan"]["run"] == "false"
    assert list(done.outputs) == ["plan"]
    assert [seen.method for seen in forge.seen if seen.method != "GET"] == []
