"""Every fault of an endpoint, over real HTTP."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import Any

import pytest
from servers.model_server import ModelServer

from swe_agent.agents.message import user
from swe_agent.agents.models.calls import Call, ModelOptions, Sampling
from swe_agent.agents.models.client import ModelClient, Sample
from swe_agent.agents.models.factory import make_client
from swe_agent.tools.errors import ContextOverflowError, CredentialsError, ModelError

ASK = [user("Say something.")]
TOOLS: Any = [
    {"type": "function", "function": {"name": "shell", "description": "", "parameters": {"type": "object"}}}
]


class Heard:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.failures: list[dict[str, Any]] = []
        self.retries: list[dict[str, Any]] = []

    def called(self, call: Call) -> None:
        self.calls.append(call)

    def call_failed(self, **fields: Any) -> None:
        self.failures.append(fields)

    def call_retried(self, **fields: Any) -> None:
        self.retries.append(fields)


def client_of(server: ModelServer, heard: Heard | None = None, **options: Any) -> ModelClient:
    options = {"api_keys": (server.key,), "max_retry_s": 5.0, "timeout_s": 10.0, **options}
    return make_client(
        "openai/scripted",
        options=ModelOptions(api_base=server.base, **options),
        scope="n0/coder/0",
        observer=heard,
    )


def ask(client: ModelClient, **arguments: Any) -> Sample:
    async def run() -> Sample:
        try:
            return await client.sample(ASK, **arguments)
        finally:
            await client.close()

    return asyncio.run(run())


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_fails_at_once(status: int) -> None:
    heard = Heard()

    def refuse(request: Any) -> dict[str, Any]:
        return {"status": status, "message": f"Incorrect API key provided: {server.key}."}

    with ModelServer(refuse) as server:
        with pytest.raises(CredentialsError) as caught:
            ask(client_of(server, heard))
        # What is forbidden may be the prompt: a harmless one is asked for too.
        assert len(server.calls) == (2 if status == 403 else 1)
    assert server.key not in str(caught.value)
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [(f["kind"], f["attempts"]) for f in heard.failures] == [("credentials", 1)]


def test_an_unknown_model_fails_at_once() -> None:
    with ModelServer(
        [{"status": 404, "message": "The model `x` does not exist", "code": "model_not_found"}]
    ) as server:
        with pytest.raises(CredentialsError, match="--model"):
            ask(client_of(server))
        assert len(server.calls) == 1


def test_a_bad_request_that_nothing_helps_is_refused_in_its_own_words() -> None:
    with ModelServer([{"status": 400, "message": "messages: roles must alternate"}]) as server:
        with pytest.raises(ModelError, match="roles must alternate"):
            ask(client_of(server))
        assert len(server.calls) <= 4


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_passing_failure_is_retried(status: int) -> None:
    heard = Heard()
    failure = {"status": status, "message": "later", "headers": {"retry-after": "0"}}
    with ModelServer([failure, failure, {"content": "ok"}]) as server:
        assert ask(client_of(server, heard)).message.content == "ok"
        assert len(server.calls) == 3
    assert [call.attempts for call in heard.calls] == [3]
    assert len(heard.retries) == 2
    assert heard.failures == []


@pytest.mark.parametrize("fault", ["reset", "empty", "cut", "garbage"])
def test_a_broken_connection_is_retried(fault: str) -> None:
    with ModelServer([{"fault": fault, "content": "half of this is lost"}, {"content": "ok"}]) as server:
        assert ask(client_of(server)).message.content == "ok"
        assert len(server.calls) == 2


@pytest.mark.parametrize("header", ["seconds", "date", "milliseconds"])
def test_retry_after_is_honoured(header: str) -> None:
    headers = {
        "seconds": {"retry-after": "1"},
        "date": {"retry-after": formatdate(time.time() + 2, usegmt=True)},
        "milliseconds": {"retry-after-ms": "900", "retry-after": "60"},
    }[header]
    with ModelServer(
        [{"status": 429, "message": "slow down", "headers": headers}, {"content": "ok"}]
    ) as server:
        ask(client_of(server))
        first, second = server.calls
        assert 0.85 <= second.at - first.at < 3.0


def test_a_wait_longer_than_allowed_fails_at_once_and_says_so() -> None:
    with ModelServer(
        [{"status": 429, "message": "quota of the day", "headers": {"retry-after": "3600"}}]
    ) as server:
        started = time.monotonic()
        with pytest.raises(ModelError, match="3600 s"):
            ask(client_of(server))
        assert time.monotonic() - started < 2


def test_retries_are_bounded_in_time() -> None:
    heard = Heard()
    with ModelServer([{"status": 500, "message": "broken"}]) as server:
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"broken.*attempts"):
            ask(client_of(server, heard, max_retry_s=1.5))
        assert time.monotonic() - started < 3
        assert len(server.calls) > 1
    assert heard.failures[0]["kind"] == "infrastructure"
    assert heard.failures[0]["attempts"] == len(server.calls)


def test_no_credit_left_is_not_a_rate_limit() -> None:
    reply = {"status": 429, "message": "You exceeded your current quota", "code": "insufficient_quota"}
    with ModelServer([reply]) as server:
        with pytest.raises(CredentialsError, match="credit"):
            ask(client_of(server))
        assert len(server.calls) == 1


def test_a_hang_is_ended_by_the_timeout_and_retried() -> None:
    with ModelServer([{"fault": "hang"}, {"content": "ok"}]) as server:
        started = time.monotonic()
        assert ask(client_of(server, timeout_s=0.5)).message.content == "ok"
        assert time.monotonic() - started < 4


def test_a_lasting_hang_ends() -> None:
    with ModelServer([{"fault": "hang"}]) as server:
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"0\.3 s"):
            ask(client_of(server, timeout_s=0.3, max_retry_s=1.0))
        assert time.monotonic() - started < 4


def test_an_address_where_nobody_listens_fails_soon() -> None:
    client = make_client("openai/x", options=ModelOptions(api_base="http://127.0.0.1:9/v1"))
    started = time.monotonic()
    with pytest.raises(ModelError, match="--api-base"):
        ask(client)
    assert time.monotonic() - started < 5


def test_a_base_without_its_version_is_explained() -> None:
    with ModelServer([{"status": 404, "message": "Not Found"}]) as server:
        client = make_client("openai/x", options=ModelOptions(api_base=server.origin))
        with pytest.raises(CredentialsError, match="/v1"):
            ask(client)


@pytest.mark.parametrize(
    ("message", "window"),
    [
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            8192,
        ),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200_000),
        ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", None),
        ("the request exceeds the available context size (4096 tokens), try increasing it", None),
    ],
)
def test_an_overflow_is_its_own_error_and_teaches_the_window(message: str, window: int | None) -> None:
    heard = Heard()
    with ModelServer([{"status": 400, "message": message}]) as server:
        client = client_of(server, heard)
        with pytest.raises(ContextOverflowError):
            ask(client)
        assert len(server.calls) == 1
    assert heard.failures[0]["kind"] == "overflow"
    if window is not None:
        assert client.context_window == window


def test_an_error_inside_a_success_is_an_error() -> None:
    reply = {"raw": {"error": {"message": "upstream is down", "code": 502}}}
    with ModelServer([reply, {"content": "ok"}]) as server:
        assert ask(client_of(server)).message.content == "ok"


def test_a_refused_parameter_is_left_out_from_then_on() -> None:
    def reply(request: Any) -> dict[str, Any]:
        if "temperature" in request.body:
            return {
                "status": 400,
                "message": "Unsupported value: 'temperature' does not support 0.2",
                "param": "temperature",
            }
        return {"content": "ok"}

    async def run(client: ModelClient) -> None:
        for _ in range(2):
            assert (await client.sample(ASK)).message.content == "ok"
        await client.close()

    with ModelServer(reply) as server:
        client = client_of(server).scoped("x", sampling=Sampling(temperature=0.2))
        asyncio.run(run(client))
        assert ["temperature" in call.body for call in server.calls] == [True, False, False]


def test_max_tokens_takes_the_name_the_model_knows() -> None:
    def reply(request: Any) -> dict[str, Any]:
        if "max_tokens" in request.body:
            text = "Unsupported parameter: 'max_tokens' is not supported with this model."
            return {"status": 400, "message": text, "param": "max_tokens"}
        return {"content": "ok"}

    with ModelServer(reply) as server:
        ask(client_of(server).scoped("x", sampling=Sampling(max_output_tokens=7)))
        assert server.calls[-1].body["max_completion_tokens"] == 7


def test_keys_rotate() -> None:
    def reply(request: Any) -> dict[str, Any]:
        key = request.headers["authorization"].removeprefix("Bearer ")
        if key == "key-revoked":
            return {"status": 401, "message": "revoked"}
        if key == "key-busy":
            return {"status": 429, "message": "busy", "headers": {"retry-after": "30"}}
        return {"content": key}

    with ModelServer(reply) as server:
        started = time.monotonic()
        result = ask(client_of(server, api_keys=("key-revoked", "key-busy", "key-good")))
        assert result.message.content == "key-good"
        assert time.monotonic() - started < 3


def test_all_keys_refused() -> None:
    with ModelServer([{"status": 401, "message": "no"}]) as server:
        with pytest.raises(CredentialsError):
            ask(client_of(server, api_keys=("key-number-1", "key-number-2")))
        assert len(server.calls) == 2


def test_a_fallback_answers_when_the_model_cannot() -> None:
    heard = Heard()

    def reply(request: Any) -> dict[str, Any]:
        if request.body["model"] == "scripted":
            return {"status": 500, "message": "down"}
        return {"content": "from the other", "model": "other-1"}

    with ModelServer(reply) as server:
        result = ask(client_of(server, heard, max_retry_s=0.6, fallbacks=("openai/other",)))
    assert result.message.content == "from the other"
    assert (heard.calls[0].model, heard.calls[0].served_model) == ("openai/other", "other-1")
    assert heard.failures[0]["model"] == "openai/scripted"


def test_concurrent_rollouts_share_the_rate_limit() -> None:
    """After one 429 with Retry-After 1, no call leaves before that second is over."""
    state = {"limited_at": 0.0}

    def reply(request: Any) -> dict[str, Any]:
        if not state["limited_at"]:
            state["limited_at"] = time.monotonic()
            return {"status": 429, "message": "slow down", "headers": {"retry-after": "1"}}
        return {"content": "ok", "delay_s": 0.05}

    async def run(client: ModelClient) -> None:
        first = asyncio.ensure_future(client.scoped("first").sample(ASK))
        await asyncio.sleep(0.3)
        rest = [client.scoped(f"s{i}").sample(ASK) for i in range(16)]
        await asyncio.gather(first, *rest)
        await client.close()

    with ModelServer(reply) as server:
        asyncio.run(run(client_of(server)))
        assert len(server.calls) == 18
        assert min(call.at for call in server.calls[1:]) - state["limited_at"] >= 0.95


def test_a_cancelled_call_ends_at_once() -> None:
    async def run(client: ModelClient) -> float:
        task = asyncio.ensure_future(client.sample(ASK))
        await asyncio.sleep(0.3)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()
        return time.monotonic() - started

    with ModelServer([{"fault": "hang"}]) as server:
        assert asyncio.run(run(client_of(server))) < 0.5


def test_a_client_serves_several_event_loops() -> None:
    with ModelServer([{"content": "ok"}]) as server:
        client = client_of(server)
        for _ in range(3):
            assert ask(client).message.content == "ok"


def test_tools_refused_turns_text_mode_on() -> None:
    def reply(request: Any) -> dict[str, Any]:
        if request.body.get("tools"):
            return {"status": 400, "message": "registry/gemma does not support tools"}
        return {"content": 'I look.\n\n```tool shell\n{"command": "ls"}\n```'}

    with ModelServer(reply) as server:
        result = ask(client_of(server), tools=TOOLS)
    call = result.message.tool_calls[0]
    assert (call.name, call.arguments) == ("shell", '{"command": "ls"}')
    assert result.message.content == "I look."
