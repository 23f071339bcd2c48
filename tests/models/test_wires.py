"""Requests as they leave the process, against the shapes the providers document."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys

import pytest
from pydantic import BaseModel
from servers.conversation import READ, START, TOOLS, answered, converse
from servers.model_server import ModelServer

from swe_agent.agents.message import user
from swe_agent.agents.models.calls import ModelOptions, Sampling
from swe_agent.agents.models.factory import make_client


def test_openai_tool_loop() -> None:
    sampling = Sampling(
        temperature=0.2, top_p=0.9, seed=7, max_output_tokens=100, reasoning_effort="low", logprobs=2
    )
    replies = [{"content": "I look.", "tool_calls": [READ, {**READ, "id": "call_b"}]}, {"content": "Done."}]
    results, requests = converse("openai/m", replies, sampling=sampling, api_keys=("sk-key-1234",))
    first, second = requests
    assert first.path == "/v1/chat/completions"
    assert first.headers["authorization"] == "Bearer sk-key-1234"
    assert first.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You are the coder."},
            {"role": "user", "content": "Fix it."},
        ],
        "tools": TOOLS,
        "temperature": 0.2,
        "top_p": 0.9,
        "seed": 7,
        "max_tokens": 100,
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 2,
    }
    call = {"type": "function", "function": {"name": "readFile", "arguments": '{"path": "a.py"}'}}
    assert second.body["messages"][2:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [{"id": "call_a", **call}, {"id": "call_b", **call}],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "x = 1"},
        {"role": "tool", "tool_call_id": "call_b", "content": "x = 1"},
    ]
    assert results[0].finish_reason == "tool_calls"
    assert results[1].message.content == "Done."


def test_the_history_is_sent_byte_for_byte_as_before() -> None:
    """Prompt caches match prefixes: what was sent once never changes."""
    replies = [{"content": f"step {i}", "tool_calls": [{**READ, "id": f"c{i}"}]} for i in range(5)]
    _, requests = converse("openai/m", replies, steps=5)
    for earlier, later in itertools.pairwise(requests):
        prefix = earlier.raw[: earlier.raw.index(b"]", earlier.raw.rindex(b'"role"'))].rstrip(b"]}")
        assert later.raw.startswith(prefix)


def test_reasoning_goes_back_to_vllm_only_within_the_tool_loop() -> None:
    async def run(base: str) -> None:
        client = make_client("hosted_vllm/qwen", options=ModelOptions(api_base=base))
        messages = list(START)
        messages += answered(await client.sample(messages, tools=TOOLS))
        messages += answered(await client.sample(messages, tools=TOOLS))
        messages.append(user("Go on."))
        await client.sample(messages, tools=TOOLS)
        await client.close()

    replies = [
        {"reasoning_content": "first thought", "tool_calls": [READ]},
        {"reasoning": "second thought", "tool_calls": [{**READ, "id": "call_b"}]},
        {"content": "Done."},
    ]
    with ModelServer(replies) as server:
        asyncio.run(run(server.base))
        bodies = [request.body for request in server.calls]
    assert bodies[1]["messages"][2]["reasoning_content"] == "first thought"
    assert all("reasoning_content" not in message for message in bodies[2]["messages"])
    assert all(body["return_token_ids"] is True for body in bodies)


def test_vllm_token_ids_and_logprobs_reach_the_call() -> None:
    logprobs = [
        {
            "token": "O",
            "logprob": -0.1,
            "top_logprobs": [{"token": "O", "logprob": -0.1}, {"token": "A", "logprob": -2.0}],
        },
        {"token": "K", "logprob": -0.5, "top_logprobs": []},
    ]
    reply = {"content": "OK", "logprobs": logprobs, "token_ids": [11, 12], "prompt_token_ids": [1, 2, 3]}
    results, _ = converse("hosted_vllm/m", [reply], steps=1, sampling=Sampling(logprobs=2))
    call = results[0].call
    assert (call.prompt_token_ids, call.token_ids, call.logprobs) == ((1, 2, 3), (11, 12), (-0.1, -0.5))
    assert results[0].logprobs is not None
    assert [t["token"] for t in results[0].logprobs] == ["O", "K"]


@pytest.mark.parametrize("stream", [False, True])
def test_usage_reasoning_and_parallel_calls(stream: bool) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "total_tokens": 1050,
        "prompt_tokens_details": {"cached_tokens": 800},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    reply = {
        "content": "I look.",
        "reasoning_content": "hm hm",
        "tool_calls": [READ, {**READ, "id": "call_b"}],
        "usage": usage,
    }
    results, requests = converse("openai/gpt-4o", [reply], steps=1, stream=stream)
    assert requests[0].body.get("stream", False) is stream
    result = results[0]
    assert (result.message.content, (result.message.reasoning or "").strip()) == ("I look.", "hm hm")
    assert [call["id"] for call in result.call.response["tool_calls"]] == ["call_a", "call_b"]
    found = result.call.usage
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens, found.reasoning_tokens) == (
        1000,
        50,
        800,
        30,
    )
    # gpt-4o in litellm's file: 2.5 dollars per million in, 1.25 cached, 10 out
    assert found.cost_usd == pytest.approx(200 * 2.5e-6 + 800 * 1.25e-6 + 50 * 1e-5)


def test_what_is_not_reported_is_absent() -> None:
    results, _ = converse("openai/some-model-without-a-price", [{"content": "ok", "usage": None}], steps=1)
    usage = results[0].call.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost_usd) == (None, None, None)


def test_malformed_arguments_are_kept_as_the_model_wrote_them() -> None:
    broken = '{"path": "a.py'
    results, _ = converse("openai/m", [{"tool_calls": [{**READ, "arguments": broken}]}], steps=1)
    calls = results[0].message.tool_calls
    assert calls[0].arguments == broken


def test_missing_and_repeated_call_ids_become_unique_and_stay_the_same() -> None:
    reply = {"tool_calls": [{**READ, "id": ""}, {**READ, "id": "call_0"}]}

    def ids() -> list[str]:
        results, _ = converse("openai/m", [reply], steps=3)
        return [call["id"] for result in results for call in result.call.response["tool_calls"]]

    found = ids()
    assert len(set(found)) == 6
    assert all(found)
    assert found == ids()


def test_a_refusal_and_a_cut_are_told_apart() -> None:
    results, _ = converse(
        "openai/m", [{"refusal": "I cannot help."}, {"content": "half", "finish_reason": "length"}]
    )
    assert (results[0].finish_reason, results[0].message.content) == ("content_filter", "I cannot help.")
    assert results[1].finish_reason == "length"


def test_openrouter_reasoning_details_and_cache_control() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}]
    replies = [{"reasoning_details": details, "reasoning": "hm", "tool_calls": [READ]}, {"content": "Done.", "usage": {
        "prompt_tokens": 5, "completion_tokens": 2, "cost": 0.00042}}]  # fmt: skip
    results, requests = converse(
        "openrouter/anthropic/claude-sonnet-4.5",
        replies,
        sampling=Sampling(reasoning_effort="high"),
        api_keys=("k" * 8,),
    )
    first, second = requests[0].body, requests[1].body
    assert first["model"] == "anthropic/claude-sonnet-4.5"
    assert first["reasoning"] == {"effort": "high"}
    assert second["messages"][2]["reasoning_details"] == details
    system = second["messages"][0]["content"]
    assert system == [{"type": "text", "text": "You are the coder.", "cache_control": {"type": "ephemeral"}}]
    assert "cache_control" in str(second["messages"][-1])
    assert str(second).count("cache_control") <= 4
    assert results[1].call.usage.cost_usd == 0.00042


def test_deepseek_and_ollama_bases() -> None:
    _, requests = converse("deepseek/deepseek-chat", [{"content": "ok"}], steps=1, api_keys=("k" * 8,))
    assert requests[0].body["model"] == "deepseek-chat"
    _, requests = converse("ollama/qwen3:8b", [{"content": "ok"}], steps=1, origin=True)
    assert (requests[0].path, requests[0].body["model"]) == ("/v1/chat/completions", "qwen3:8b")


class Verdict(BaseModel):
    accept: bool
    scores: dict[str, float] = {}
    why: str = ""


def test_json_schema_output() -> None:
    async def run(base: str) -> None:
        client = make_client("openai/m", options=ModelOptions(api_base=base))
        await client.sample(START, json_output=Verdict)
        await client.sample(START, json_output=True)
        await client.close()

    with ModelServer([{"content": "{}"}]) as server:
        asyncio.run(run(server.base))
        first, second = (call.body["response_format"] for call in server.calls)
    assert first["type"] == "json_schema"
    assert first["json_schema"]["strict"] is True
    schema = first["json_schema"]["schema"]
    assert schema["required"] == ["accept", "scores", "why"]
    assert schema["additionalProperties"] is False
    assert second == {"type": "json_object"}


def test_text_that_is_not_unicode_still_makes_json() -> None:
    messages = [user("\ud800 broken \x00 text")]

    async def run(base: str) -> None:
        client = make_client("openai/m", options=ModelOptions(api_base=base))
        await client.sample(messages)
        await client.close()

    with ModelServer([{"content": "ok"}]) as server:
        asyncio.run(run(server.base))
        assert "broken" in server.calls[0].body["messages"][0]["content"]


def test_the_openai_wire_never_imports_litellm() -> None:
    code = """
import asyncio, sys
from swe_agent.agents.message import user
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.factory import make_client
async def main():
    client = make_client("openai/gpt-4o", options=ModelOptions(api_base=sys.argv[1]))
    result = await client.sample([user("hi")])
    assert result.call.usage.cost_usd is not None
    await client.close()
asyncio.run(main())
assert "openai" in sys.modules
assert "litellm" not in sys.modules
"""
    with ModelServer([{"content": "ok"}]) as server:
        done = subprocess.run([sys.executable, "-c", code, server.base], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_sdk_is_whole_although_it_was_imported_lazily() -> None:
    code = """
from swe_agent.agents.models.imports import install
install()
import openai, httpx
from openai.types import *
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
assert Completion is openai.types.Completion
assert openai.types.shared_params.FunctionDefinition
assert "ChatCompletion" in dir(openai.types.chat)
client = openai.OpenAI(api_key="k")
assert client.chat.completions and client.responses and client.beta.threads
try:
    openai.types.nonsense
    raise SystemExit("nonsense exists")
except AttributeError:
    pass
import requests, httpx._main
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
