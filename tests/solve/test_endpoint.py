"""Whole runs against a real HTTP endpoint on loopback: tool calls and text mode, with faults on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers.model_server import ModelServer, Received

from .conftest import (
    CODER,
    CRITIC,
    FAILING,
    RIGHT,
    SOLVE,
    TESTER,
    WRONG,
    Done,
    call,
    edit,
    events,
    review,
    said,
)

Run = Callable[..., Done]
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050}


def as_text(turn: Mapping[str, Any]) -> str:
    blocks = [f"```tool {c['name']}\n{json.dumps(c['arguments'])}\n```" for c in turn["tool_calls"]]
    return "\n\n".join(["Next.", *blocks])


def team(
    roles: Mapping[str, list[dict[str, Any]]],
    *,
    text: bool = False,
    faults: list[Mapping[str, Any]] | None = None,
) -> Callable[[Received], Mapping[str, Any]]:
    """Answers by role (named in the system prompt) and by the number of the role's own messages so far."""
    pending = list(faults or [])

    def answer(request: Received) -> Mapping[str, Any]:
        if pending:
            return pending.pop(0)
        messages = request.body["messages"]
        role = next(name for name in roles if f"You are the {name.capitalize()}" in messages[0]["content"])
        mine = sum(message["role"] == "assistant" for message in messages)
        turn = roles[role][mine]
        if text:
            return {"content": as_text(turn), "usage": USAGE}
        calls = [{"name": c["name"], "arguments": json.dumps(c["arguments"])} for c in turn["tool_calls"]]
        return {"content": None, "tool_calls": calls, "usage": USAGE}

    return answer


DISAGREEING = {
    "tester": TESTER,
    "coder": [
        said(edit(WRONG, "return minutes // MINUTES_PER_HOUR")),
        said(call("finish", summary="floor division")),
    ],
    "debugger": [
        said(edit("return minutes // MINUTES_PER_HOUR", RIGHT)),
        said(call("runTests", tests=FAILING)),
        said(call("finish", summary="ceiling division")),
    ],
    "critic": [said(call("diff")), said(review(True))],
}


@pytest.mark.parametrize("text", [False, True])
def test_a_team_over_http(swe_agent: Run, parking: Path, tmp_path: Path, text: bool) -> None:
    faults = [
        {"status": 429, "message": "slow down", "headers": {"retry-after": "1"}},
        {"fault": "reset"},
        {"status": 503, "message": "busy"},
    ]
    with ModelServer(team(DISAGREEING, text=text, faults=faults)) as server:
        done = swe_agent(
            *SOLVE,
            parking,
            "--model",
            "openai/some-model",
            "--api-base",
            server.base,
            "--json",
            "--output",
            tmp_path / "r",
            *(["--text-mode"] if text else []),
            env={"OPENAI_API_KEY": "sk-test-not-a-real-key-000000"},
        )
    assert done.code == 0, done.err
    assert RIGHT in done.json["patch"]
    assert len(events(tmp_path / "r", "call_retried")) == 3
    calls = events(tmp_path / "r", "call")
    assert calls[0]["attempts"] == 4
    assert {c["is_llm"] for c in calls} == {True}
    assert done.json["totals"]["cost_usd"] is None
    assert done.json["totals"]["prompt_tokens"] == 1000 * len(calls)
    tools = server.calls[-1].body.get("tools")
    assert (tools is None) == text
    assert "sk-test-not-a-real-key" not in (tmp_path / "r" / "events.jsonl").read_text()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"status": 401, "message": "Incorrect API key provided: sk-abcdefghijklmnop12345"}, "key"),
        ({"status": 403, "message": "no access to this model"}, "403"),
        (
            {"status": 404, "message": "The model `some-model` does not exist", "code": "model_not_found"},
            "some-model",
        ),
    ],
)
def test_a_refusal_ends_it_at_once(
    swe_agent: Run, parking: Path, tmp_path: Path, reply: Mapping[str, Any], words: str
) -> None:
    with ModelServer([reply]) as server:
        done = swe_agent(
            *SOLVE,
            parking,
            "--model",
            "openai/some-model",
            "--api-base",
            server.base,
            "-q",
            "--output",
            tmp_path / "r",
            env={"OPENAI_API_KEY": "sk-test-not-a-real-key-000000"},
        )
        assert done.code == 6, done.err
        assert len(server.calls) <= 2  # a 403 is the key only if a harmless request is refused too
    assert words in done.err
    lines = [line for line in done.err.splitlines() if line and "has no walls" not in line]
    assert len(lines) == 1
    assert "sk-abcdefghijklmnop12345" not in done.err
    assert not (tmp_path / "r" / "patch.diff").exists()


def test_an_endpoint_that_goes_away_is_no_failed_model(swe_agent: Run, parking: Path, tmp_path: Path) -> None:
    """The run stops with the model's exit code, nothing is recorded as the model's doing, and the same run goes
    on when the endpoint is back."""
    roles = {"tester": TESTER, "coder": CODER, "critic": CRITIC}
    run = tmp_path / "r"
    answer = team(roles)
    asked = 0

    def dying(request: Received) -> Mapping[str, Any]:
        nonlocal asked
        asked += request.method == "POST"
        return answer(request) if asked <= 4 else {"status": 401, "message": "revoked"}

    arguments = [
        *SOLVE,
        parking,
        "--model",
        "openai/some-model",
        "--output",
        run,
        "--json",
    ]
    key = {"OPENAI_API_KEY": "sk-test-not-a-real-key-000000"}
    with ModelServer(dying) as server:
        port = server.port
        done = swe_agent(*arguments, "--api-base", server.base, env=key)
        assert done.code == 6, done.err
    assert events(run, "outcome")[-1]["status"] == "error"
    assert not [e for e in events(run, "node_finished") if e["reward"] is not None]
    began = time.monotonic()
    with ModelServer(team(roles), port=port) as server:
        done = swe_agent("solve", "--resume", run, "--json", env=key)
        assert done.code == 0, done.err
        assert len(server.calls) == len(events(run, "call")) - 4
    assert time.monotonic() - began < 240
    assert RIGHT in done.json["patch"]
