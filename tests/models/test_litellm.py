"""Requests through litellm as they leave the process, against the shapes the providers document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from servers.conversation import PARAMETERS, converse
from servers.model_server import Received

from swe_agent.agents.models.calls import Sampling
from swe_agent.tools.errors import ContextOverflowError, CredentialsError, ModelError

ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "thinking", "thinking": "hm, look", "signature": "SIG=="},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "readFile", "input": {"path": "a.py"}},
        {"type": "tool_use", "id": "toolu_2", "name": "readFile", "input": {"path": "b.py"}},
    ],
    "stop_reason": "tool_use",
    "usage": {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_creation_input_tokens": 1000,
        "cache_read_input_tokens": 500,
    },
}
ANTHROPIC_DONE = {**ANTHROPIC, "content": [{"type": "text", "text": "Done."}], "stop_reason": "end_turn"}


def test_anthropic_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs.anthropic.com: Messages, tool use, extended thinking with tool use, prompt caching."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-123456")
    results, requests = converse(
        "anthropic/claude-sonnet-4-5",
        [{"raw": ANTHROPIC}, {"raw": ANTHROPIC_DONE}],
        origin=True,
        sampling=Sampling(reasoning_effort="low", max_output_tokens=8000),
    )
    mark = {"type": "ephemeral"}
    first, second = requests
    assert first.path == "/v1/messages"
    assert first.headers["x-api-key"] == "sk-ant-test-123456"
    assert first.headers["anthropic-version"] == "2023-06-01"
    assert first.body["system"] == [{"type": "text", "text": "You are the coder.", "cache_control": mark}]
    assert first.body["max_tokens"] == 8000
    assert first.body["thinking"]["type"] == "enabled"
    assert first.body["tools"][0]["input_schema"] == PARAMETERS
    user, assistant, results_message = second.body["messages"]
    assert user == {"role": "user", "content": [{"type": "text", "text": "Fix it."}]}
    thinking, text, use_1, use_2 = assistant["content"]
    assert thinking == ANTHROPIC["content"][0]
    assert text["text"] == "I look."
    assert (use_1, use_2) == (ANTHROPIC["content"][2], ANTHROPIC["content"][3])
    assert [part["tool_use_id"] for part in results_message["content"]] == ["toolu_1", "toolu_2"]
    assert "cache_control" in str(results_message["content"][-1])
    assert str(second.body).count("cache_control") <= 4
    result = results[0]
    assert (result.message.content, result.message.reasoning) == ("I look.", "hm, look")
    usage = result.call.usage
    assert (usage.prompt_tokens, usage.cached_tokens) == (1510, 500)
    # claude-sonnet-4-5 in litellm's file: 3 dollars per million in, 3.75 cache writes, 0.3 cache reads, 15 out
    assert usage.cost_usd == pytest.approx(10 * 3e-6 + 1000 * 3.75e-6 + 500 * 3e-7 + 20 * 1.5e-5)


@pytest.mark.parametrize(
    ("status", "type", "message", "error"),
    [
        (401, "authentication_error", "invalid x-api-key", CredentialsError),
        (404, "not_found_error", "model: claude-nope", CredentialsError),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 250000 tokens > 200000 maximum",
            ContextOverflowError,
        ),
        (400, "invalid_request_error", "tools.0: bad", ModelError),
    ],
)
def test_anthropic_refusals(
    monkeypatch: pytest.MonkeyPatch, status: int, type: str, message: str, error: type[Exception]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-123456")
    reply = {"status": status, "raw": {"type": "error", "error": {"type": type, "message": message}}}
    with pytest.raises(error) as caught:
        converse("anthropic/claude-sonnet-4-5", [reply], origin=True, steps=1)
    assert "sk-ant-test-123456" not in str(caught.value)


def test_anthropic_overload_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-123456")
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    busy = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    replies = [
        {"status": 529, "raw": overloaded, "headers": {"retry-after": "0"}},
        {"status": 429, "raw": busy, "headers": {"retry-after": "0.3"}},
        {"raw": ANTHROPIC_DONE},
    ]
    results, requests = converse("anthropic/claude-sonnet-4-5", replies, origin=True, steps=1)
    assert results[0].message.content == "Done."
    assert results[0].call.attempts == 3
    assert requests[2].at - requests[1].at >= 0.29


OLLAMA = {
    "model": "qwen3",
    "created_at": "2025-01-01T00:00:00Z",
    "message": {
        "role": "assistant",
        "content": "",
        "thinking": "hm",
        "tool_calls": [{"function": {"name": "readFile", "arguments": {"path": "a.py"}}}],
    },
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 11,
    "eval_count": 7,
}
OLLAMA_DONE = {**OLLAMA, "message": {"role": "assistant", "content": "Done."}}


def test_ollama_chat() -> None:
    """docs.ollama.com: POST /api/chat with tools and thinking."""

    def reply(request: Received) -> dict[str, Any]:
        if request.path == "/api/show":
            return {"raw": {"capabilities": ["completion", "tools", "thinking"]}}
        return {"raw": OLLAMA_DONE if len(request.body["messages"]) > 2 else OLLAMA}

    results, requests = converse("ollama_chat/qwen3", reply, origin=True)  # type: ignore[arg-type]
    first, second = [request for request in requests if request.path == "/api/chat"]
    assert first.body["model"] == "qwen3"
    assert first.body["stream"] is False
    assert first.body["options"]["num_ctx"] >= 16_384
    assert first.body["tools"][0]["function"]["parameters"] == PARAMETERS
    assistant, tool = second.body["messages"][2:]
    assert assistant["thinking"] == "hm"
    assert assistant["tool_calls"][0]["function"] == {"name": "readFile", "arguments": {"path": "a.py"}}
    assert (tool["role"], tool["content"]) == ("tool", "x = 1")
    assert results[0].message.reasoning == "hm"
    assert (results[0].call.usage.prompt_tokens, results[0].call.usage.completion_tokens) == (11, 7)


REFUSED: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "temperature": lambda body: "temperature" in body,
    "top_p": lambda body: "top_p" in body,
    "system": lambda body: bool(body.get("system")),
    "thinking": lambda body: "thinking" in body,
    "caching": lambda body: "cache_control" in json.dumps(body),
}


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("refused", sorted(REFUSED))
def test_one_thing_refused_in_unknown_words_costs_at_most_three_requests(
    monkeypatch: pytest.MonkeyPatch, refused: str, status: int
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-123456")
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "E77"}}

    def reply(request: Received) -> Mapping[str, Any]:
        return {"status": status, "raw": error} if REFUSED[refused](request.body) else {"raw": ANTHROPIC_DONE}

    sampling = Sampling(
        temperature=None if refused == "thinking" else 0.3, top_p=None, max_output_tokens=4000
    )
    if refused == "top_p":
        sampling = replace(sampling, temperature=None, top_p=0.9)
    if refused == "thinking":
        sampling = replace(sampling, reasoning_effort="low")
    results, requests = converse("anthropic/claude-sonnet-4-5", reply, origin=True, sampling=sampling)
    assert [result.message.content for result in results] == ["Done."] * 2
    assert any(REFUSED[refused](request.body) for request in requests[:1]), "the first request has it"
    assert len(requests) <= 2 + 3
