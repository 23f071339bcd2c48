"""What an endpoint refuses in words that nobody knows is found out by trying, and remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from servers.model_server import ModelServer, Received

from swe_agent.agents.message import Message, ToolCall, system, tool_result, user
from swe_agent.agents.models.calls import ModelOptions, Sampling
from swe_agent.agents.models.client import ModelClient
from swe_agent.agents.models.factory import make_client
from swe_agent.tools.errors import ContextOverflowError, CredentialsError, ModelError

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Look.",
            "parameters": {
                "type": "object",
                "properties": {"at": {"type": "integer", "minimum": 0}},
                "additionalProperties": False,
            },
        },
    }
    for name in ("look", "finish")
]
FIRST = ToolCall("call_0123456789abcdef", "look", '{"at": 1}')
SECOND = ToolCall("call_fedcba9876543210", "look", '{"at": 2}')
START = [
    system("You look."),
    user("Look."),
    user("Do it \x07 now."),
    Message("assistant", "", "I think.", (FIRST, SECOND)),
    tool_result(FIRST, "seen"),
    tool_result(SECOND, "seen too"),
    user("Three steps are left."),
    Message("assistant", ""),
    user("Go on."),
]
SAMPLING = Sampling(
    temperature=0.3, top_p=0.9, seed=3, max_output_tokens=99, reasoning_effort="low", logprobs=3
)

Body = Mapping[str, Any]


def chats(body: Body) -> list[Mapping[str, Any]]:
    return body["messages"]


def after(one: str, other: str) -> Callable[[Body], bool]:
    return lambda body: any(
        (a["role"], b["role"]) == (one, other) for a, b in zip(chats(body), chats(body)[1:], strict=False)
    )


def said(test: Callable[[Any], bool]) -> Callable[[Body], bool]:
    return lambda body: any(test(chat.get("content")) for chat in chats(body))


def field_named(name: str) -> Callable[[Body], bool]:
    return lambda body: name in body


REFUSED: dict[str, Callable[[Body], bool]] = {
    **{
        name: field_named(name)
        for name in (
            "temperature", "top_p", "seed", "max_tokens", "reasoning_effort", "logprobs", "top_logprobs",
            "tool_choice", "tools", "response_format", "parallel_tool_calls",
        )
    },
    "streaming": lambda body: bool(body.get("stream")),
    "stream_options": lambda body: "stream_options" in body,
    "whole answers": lambda body: not body.get("stream"),
    "a system role": lambda body: any(chat["role"] == "system" for chat in chats(body)),
    "user after tool": after("tool", "user"),
    "user after user": after("user", "user"),
    "null content": said(lambda content: content is None),
    "blank content": said(lambda content: isinstance(content, str) and not content.strip()),
    "long ids": lambda body: any(
        len(call["id"]) != 9 for chat in chats(body) for call in chat.get("tool_calls") or ()
    ),
    "two calls at once": lambda body: any(len(chat.get("tool_calls") or ()) > 1 for chat in chats(body)),
    "additionalProperties": lambda body: "additionalProperties" in json.dumps(body.get("tools", "")),
    "reasoning of before": lambda body: any("reasoning_content" in chat for chat in chats(body)),
    "control characters": said(lambda content: isinstance(content, str) and "\x07" in content),
}  # fmt: skip
WORDS = [
    "Bad Request",
    "nope",
    "Eingabe ungültig",
    "E1234",
    "see the log",
    "not like this, please",
    "x" * 300,
    "",
]


@dataclass
class Picky:
    """An endpoint that refuses one thing, always in the same words that say nothing."""

    refused: str
    status: int
    words: str
    shape: str = "error"

    def __call__(self, request: Received) -> Mapping[str, Any]:
        if REFUSED[self.refused](request.body):
            body: Any = (
                {"error": {"message": self.words}} if self.shape == "error" else {"detail": self.words}
            )
            return {"status": self.status, "raw": body}
        return {"content": "```tool finish\n{}\n```"} if "tools" not in request.body else {
            "tool_calls": [{"name": "finish", "arguments": {}}]
        }  # fmt: skip


def client_of(base: str, **options: Any) -> ModelClient:
    chosen = ModelOptions(api_base=base, max_retry_s=8.0, stream=options.pop("stream", False))
    return make_client(
        "openai/m", options=chosen, scope="n0/coder/0", sampling=options.get("sampling", SAMPLING)
    )


async def converse(client: ModelClient, calls: int = 5) -> list[str]:
    """The tools called, one per sample."""
    messages, found = list(START), []
    extra = {"parallel_tool_calls": True}
    for _ in range(calls):
        sample = await client.sample(
            messages, tools=TOOLS, tool_choice="required", json_output=True, extra=extra
        )
        found += [call.name for call in sample.message.tool_calls]
        messages += [sample.message, *(tool_result(call, "ok") for call in sample.message.tool_calls)]
    await client.close()
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(REFUSED)),
    st.sampled_from([400, 403, 404, 406, 415, 418, 422, 500, 501]),
    st.sampled_from(WORDS),
    st.sampled_from(["error", "detail"]),
    st.booleans(),
)
def test_whatever_one_thing_is_refused_in_whatever_words_costs_at_most_three_requests(
    refused: str, status: int, words: str, shape: str, stream: bool
) -> None:
    # who answers 403 or 404 to all that is not streamed refuses the harmless request too, like a bad key or name
    assume(not (refused == "whole answers" and status in (403, 404)))
    with ModelServer(Picky(refused, status, words, shape)) as server:
        found = asyncio.run(converse(client_of(server.base, stream=stream)))
        assert found == ["finish"] * 5
        assert len(server.calls) <= 5 + 3, [call.body for call in server.calls]


@pytest.mark.parametrize("refused", ["seed", "a system role", "null content"])
def test_what_was_not_it_is_put_back(refused: str) -> None:
    with ModelServer(Picky(refused, 400, "no")) as server:
        asyncio.run(converse(client_of(server.base), 8))
        last = server.calls[-1].body
    assert not REFUSED[refused](last)
    kept = [name for name in REFUSED if REFUSED[name](last)]
    assert "tools" in kept
    assert len(kept) >= 12, kept


def test_an_outage_teaches_nothing() -> None:
    answers = iter([{"status": 500, "message": "broken"}] * 2)

    def reply(request: Received) -> Mapping[str, Any]:
        return next(answers, {"tool_calls": [{"name": "finish", "arguments": {}}]})

    with ModelServer(reply) as server:
        asyncio.run(converse(client_of(server.base), 10))
        last = server.calls[-1].body
    assert {"seed", "temperature", "tools", "top_p"} <= set(last)
    assert last["messages"][0]["role"] == "system"


def test_a_prompt_that_is_too_long_in_unknown_words_is_an_overflow() -> None:
    def reply(request: Received) -> Mapping[str, Any]:
        if len(request.raw) > 30_000:
            return {"status": 400, "message": "no way"}
        return {"content": "ok"}

    async def run(client: ModelClient) -> None:
        await client.sample([user("hi")])
        with pytest.raises(ContextOverflowError):
            await client.sample([user("long " * 10_000)])
        await client.sample([user("shorter")])
        assert client.context_window is not None
        await client.close()

    with ModelServer(reply) as server:
        asyncio.run(run(client_of(server.base, sampling=Sampling())))
        assert len(server.calls) <= 2 + 3


@pytest.mark.parametrize("status", [400, 403, 422, 451])
def test_a_flagged_prompt_is_that_prompts_failure_and_nobody_blames_the_key(status: int) -> None:
    def reply(request: Received) -> Mapping[str, Any]:
        if "kill the child" in str(request.body):
            return {"status": status, "message": "m requires moderation. Your input was flagged"}
        return {"content": "ok"}

    async def run(client: ModelClient) -> None:
        with pytest.raises(ModelError, match="flagged") as caught:
            await client.sample([system("You fix."), user("kill the child process")], tools=TOOLS)
        assert not isinstance(caught.value, CredentialsError)
        again = await client.sample([system("You fix."), user("add subtracts")], tools=TOOLS)
        assert again.message.content == "ok"
        await client.close()

    with ModelServer(reply) as server:
        asyncio.run(run(client_of(server.base)))
        assert {"seed", "tools"} <= set(server.calls[-1].body)


def test_a_failed_generation_is_read_or_sampled_again_and_then_told() -> None:
    readable = (
        '<function=look{"at": 1}</function> <tool_call>{"name": "look", "arguments": {"at": 1}}</tool_call>'
    )
    failed = {
        "message": "Failed to call a function.",
        "type": "invalid_request_error",
        "code": "tool_use_failed",
    }

    async def run(base: str) -> list[tuple[str, int]]:
        client = client_of(base)
        first = await client.sample(START, tools=TOOLS)
        second = await client.sample(START, tools=TOOLS)
        await client.close()
        return [(s.finish_reason, len(s.message.tool_calls)) for s in (first, second)]

    replies = [
        {"status": 400, "raw": {"error": {**failed, "failed_generation": readable}}},
        {"status": 400, "raw": {"error": failed}},
    ]
    with ModelServer(replies) as server:
        assert asyncio.run(run(server.base)) == [("tool_calls", 1), ("malformed", 0)]
        assert len(server.calls) == 1 + 3
