"""solve --issue against a loopback forge: the issue with its comments reaches the roles."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forges.answer import Answer
from forges.forge_server import ForgeServer

from .conftest import RIGHT, Done, events, git

Run = Callable[..., Done]


@pytest.fixture
def forge(tmp_path: Path, parking: Path) -> Iterator[ForgeServer]:
    with ForgeServer(tmp_path) as server:
        server.add_repository("octo/parking", source=parking)
        yield server


def test_issue_url_alone(
    swe_agent: Run, forge: ForgeServer, script: Callable[..., str], tmp_path: Path, parking: Path
) -> None:
    comments = [f"comment number {n}" for n in range(65)]
    forge.add_issue("octo/parking", 7, title="Charged too much", body="On the hour.", comments=comments)
    run = tmp_path / "r"
    done = swe_agent(
        "solve", "--issue", forge.issue_url("octo/parking", 7), "--model", script(), "--json", "--output", run
    )
    assert done.code == 0, done.err
    assert done.json["base_commit"] == git(parking, "rev-parse", "HEAD").strip()
    assert done.json["issue"] == "octo/parking#7"
    assert RIGHT in done.json["patch"]
    tasks = [e["content"] for e in events(run, "message") if e["id"] in ("run/tester/0:u1", "n0/coder/0:u1")]
    assert len(tasks) == 2
    for task in tasks:
        assert "On the hour." in task
        assert all(comment in task for comment in comments)
        assert '<data source="comments">' in task


def test_issue_at_an_older_commit(
    swe_agent: Run, forge: ForgeServer, script: Callable[..., str], parking: Path
) -> None:
    old = git(parking, "rev-parse", "HEAD").strip()
    forge.commit("octo/parking", {"NEWS.md": "later\n"})
    forge.add_issue("octo/parking", 8, title="Charged too much")
    done = swe_agent(
        "solve",
        "--issue",
        forge.issue_url("octo/parking", 8),
        "--base",
        old,
        "--model",
        script(),
        "--json",
        "-q",
    )
    assert done.code == 0, done.err
    assert done.json["base_commit"] == old


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([Answer(404, {"message": "Not Found"})], "no issue"),
        ([Answer(410, {"message": "Gone"})], "deleted"),
        (
            [
                Answer(
                    403,
                    {"message": "API rate limit exceeded"},
                    {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800"},
                )
            ],
            "limit",
        ),
        ([Answer(429, {"message": "slow down"}, {"retry-after": "600"})], "limit"),
    ],
)
def test_forge_refuses(swe_agent: Run, forge: ForgeServer, answers: list[Answer], words: str) -> None:
    forge.add_issue("octo/parking", 9)
    forge.answers["/repos/octo/parking/issues/9"] = answers
    began = time.monotonic()
    done = swe_agent("solve", "--issue", forge.issue_url("octo/parking", 9))
    assert done.code == 8
    assert time.monotonic() - began < 10
    lines = [line for line in done.err.splitlines() if line]
    assert len(lines) == 1
    assert words in lines[0]


def test_a_pull_request_is_no_issue(swe_agent: Run, forge: ForgeServer) -> None:
    forge.add_issue("octo/parking", 10, pull_request={"url": "x"})
    done = swe_agent("solve", "--issue", forge.issue_url("octo/parking", 10))
    assert done.code == 8
    assert "pull request" in done.err


def test_pull_request_with_the_patch(swe_agent: Run, forge: ForgeServer, script: Callable[..., str]) -> None:
    forge.add_issue("octo/parking", 11, title="Charged too much")
    forge.users["secret-token-1234567890"] = "me"
    forge.pushers["octo/parking"] = {"secret-token-1234567890"}
    done = swe_agent(
        "solve",
        "--issue",
        forge.issue_url("octo/parking", 11),
        "--model",
        script(),
        "--json",
        "--open-pr",
        env={"GH_ENTERPRISE_TOKEN": "secret-token-1234567890"},
    )
    assert done.code == 0, done.err
    assert "pull_request" in done.json
    pull = forge.pulls["octo/parking"][0]
    assert pull["draft"] is True
    assert "secret-token" not in done.err + done.out
