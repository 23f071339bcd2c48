"""Model names, keys and prices: what is known without a network."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest
from servers.model_server import ModelServer

from swe_agent.agents.models.calls import ModelOptions, Usage
from swe_agent.agents.models.catalog import facts_of
from swe_agent.agents.models.factory import check_model, model_facts
from swe_agent.agents.models.failures import from_status, retry_after, window_of
from swe_agent.agents.models.preflight import ping, preflight
from swe_agent.agents.models.providers import route_of
from swe_agent.tools.errors import CredentialsError, ModelError

BASE = ModelOptions(api_base="http://127.0.0.1:8000/v1")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL", "_TOKEN")) or name.startswith(
            ("AWS_", "OLLAMA_")
        ):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("model", "wire", "name", "base"),
    [
        ("openai/gpt-4o", "openai", "gpt-4o", "https://api.openai.com/v1"),
        ("gpt-5-mini", "openai", "gpt-5-mini", "https://api.openai.com/v1"),
        ("o3", "openai", "o3", "https://api.openai.com/v1"),
        (
            "openrouter/anthropic/claude-sonnet-4.5",
            "openai",
            "anthropic/claude-sonnet-4.5",
            "https://openrouter.ai/api/v1",
        ),
        ("deepseek/deepseek-chat", "openai", "deepseek-chat", "https://api.deepseek.com/v1"),
        ("ollama/qwen3:8b", "openai", "qwen3:8b", "http://localhost:11434/v1"),
        ("ollama_chat/qwen3", "litellm", "ollama_chat/qwen3", None),
        ("anthropic/claude-sonnet-4-5", "litellm", "anthropic/claude-sonnet-4-5", None),
        ("claude-sonnet-4-5", "litellm", "anthropic/claude-sonnet-4-5", None),
        ("bedrock/us.anthropic.claude-sonnet-4-5", "litellm", "bedrock/us.anthropic.claude-sonnet-4-5", None),
        ("gemini/gemini-2.5-pro", "litellm", "gemini/gemini-2.5-pro", None),
        ("groq/llama-3.3-70b-versatile", "litellm", "groq/llama-3.3-70b-versatile", None),
    ],
)
def test_names_lead_to_wires(model: str, wire: str, name: str, base: str | None) -> None:
    route = route_of(model, ModelOptions())
    assert (route.wire, route.name, route.base_url) == (wire, name, base)


@pytest.mark.parametrize("model", ["my-model", "Qwen/Qwen3-Coder-30B", "openai/my-model"])
def test_any_name_goes_to_an_endpoint_that_is_given(model: str) -> None:
    route = route_of(model, BASE)
    assert (route.wire, route.base_url) == ("openai", BASE.api_base)
    assert route.name == model.removeprefix("openai/")
    check_model(model, BASE)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("", "not valid"),
        ("my model", "not valid"),
        ("openai/", "ends after its provider"),
        ("my-model", "--api-base"),
        ("opnai/gpt-4o", "did you mean openai/gpt-4o"),
        ("nobody/x", "unknown provider"),
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("openrouter/x/y", "OPENROUTER_API_KEY"),
        ("gemini/gemini-2.5-pro", "GEMINI_API_KEY"),
        ("hosted_vllm/m", "HOSTED_VLLM_API_BASE"),
        ("offline/other", "offline/repair"),
        ("scripted/nowhere.json", r"nowhere\.json"),
    ],
)
def test_what_cannot_work_is_said_at_once(model: str, said: str) -> None:
    started = time.monotonic()
    with pytest.raises(CredentialsError, match=said) as caught:
        check_model(model, ModelOptions())
    assert time.monotonic() - started < 1.0
    assert "\n" not in str(caught.value)


def test_a_fallback_is_checked_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    check_model("openai/gpt-4o", ModelOptions())
    with pytest.raises(CredentialsError, match="ANTHROPIC_API_KEY"):
        check_model("openai/gpt-4o", ModelOptions(fallbacks=("anthropic/claude-sonnet-4-5",)))


def test_several_keys_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-one, key-two")
    assert route_of("openai/gpt-4o", ModelOptions()).keys(ModelOptions()) == ("key-one", "key-two")


def test_checking_imports_no_sdk() -> None:
    code = """
import sys
from swe_agent.agents.models.factory import check_model, model_facts
from swe_agent.agents.models.calls import ModelOptions
check_model("hosted_vllm/m", ModelOptions(api_base="http://127.0.0.1:1/v1"))
model_facts("anthropic/claude-sonnet-4-5")
heavy = {"openai", "litellm", "autogen_core", "httpx", "tenacity"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_prices_and_windows() -> None:
    facts = model_facts("anthropic/claude-sonnet-4-5")
    assert facts.context_window == 200_000
    usage = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=600)
    # 3 dollars per million in, 0.3 cached, 15 out
    assert facts.cost(usage) == pytest.approx(400 * 3e-6 + 600 * 3e-7 + 100 * 1.5e-5)
    long = Usage(prompt_tokens=300_000, completion_tokens=100)
    assert facts.cost(long) == pytest.approx(300_000 * 6e-6 + 100 * 2.25e-5)
    assert facts.cost(Usage(prompt_tokens=1000)) is None


@pytest.mark.parametrize("model", ["hosted_vllm/gpt-4o", "openai/nobody-knows", "scripted/x"])
def test_an_unknown_price_is_none(model: str) -> None:
    facts = facts_of(model)
    assert not facts.priced
    assert facts.cost(Usage(prompt_tokens=1, completion_tokens=1)) is None


# asking the endpoint


def test_preflight_finds_a_bad_key_and_an_unknown_model_without_a_completion() -> None:
    with ModelServer({"models": ["qwen3-coder", "other"]}) as server:
        options = ModelOptions(api_base=server.base)
        asyncio.run(preflight("hosted_vllm/qwen3-coder", options))
        with pytest.raises(CredentialsError, match="qwen3-coder"):
            asyncio.run(preflight("hosted_vllm/qwen3-codr", options))
        asyncio.run(preflight("openai/whatever", options))
        assert server.calls == []


def test_preflight_concludes_nothing_where_there_is_no_list() -> None:
    with ModelServer({"models": []}) as server:
        asyncio.run(preflight("hosted_vllm/m", ModelOptions(api_base=server.base)))


def test_preflight_of_a_dead_address() -> None:
    with pytest.raises(ModelError, match="--api-base"):
        asyncio.run(preflight("openai/m", ModelOptions(api_base="http://127.0.0.1:9/v1")))


def test_preflight_of_anthropic_believes_only_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-123456")

    def ask(status: int, error: Any) -> None:
        with ModelServer([{"status": status, "raw": error}]) as server:
            asyncio.run(preflight("anthropic/claude-x", ModelOptions(api_base=server.origin)))

    ask(404, {"error": {"message": "no such path"}})
    ask(500, {})
    with pytest.raises(CredentialsError, match="claude-x"):
        ask(404, {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-x"}})
    with pytest.raises(CredentialsError, match="ANTHROPIC_API_KEY"):
        ask(401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}})


def test_ping() -> None:
    with ModelServer([{"content": "pong"}]) as server:
        found = asyncio.run(ping("openai/m", ModelOptions(api_base=server.base)))
    assert found.endpoint == server.base
    assert "10 tokens" in found.detail


# what refusals mean


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens"}}, "overflow"),
        (400, {"error": {"code": "context_length_exceeded", "message": "too long"}}, "overflow"),
        (
            400,
            {
                "object": "error",
                "message": "The decoder prompt (length 9000) is longer than max_model_len 8192",
            },
            "overflow",
        ),
        (413, {"error": {"message": "prompt is too long"}}, "overflow"),
        (429, {"error": {"message": "Rate limit reached for tokens per min"}}, "rate"),
        (429, {"error": {"message": "quota", "type": "insufficient_quota"}}, "quota"),
        (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
        (503, b"upstream unavailable", "rate"),
        (500, {"detail": "oops"}, "transient"),
        (404, {"error": {"message": "model 'x' not found, try pulling it first"}}, "missing"),
        (400, {"error": "registry.ollama.ai/library/gemma:2b does not support tools"}, "no_tools"),
        (
            400,
            {
                "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
            },
            "no_tools",
        ),
        (400, {"error": {"message": "Unrecognized request argument supplied: 'seed'"}}, "parameter"),
        (422, b"not json at all", "fatal"),
        (401, b"<html><body>Unauthorized</body></html>", "credentials"),
    ],
)
def test_refusals_are_told_apart(status: int, body: Any, kind: str) -> None:
    assert from_status(status, body, {}).kind == kind


def test_windows_in_messages() -> None:
    assert window_of("maximum context length is 131,072 tokens, you requested 200000") == 131_072
    assert window_of("nothing of the kind") is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:10 GMT"}, 10.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=1_445_412_480.0) == seconds
