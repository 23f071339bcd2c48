"""The client above its wires: journal, budget, scopes, streaming."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from models.looping import REPLIES, START, TOOLS, client_on, loop
from servers.model_server import ModelServer

from swe_agent.agents.message import user
from swe_agent.agents.models.calls import Call, ModelOptions, Sampling
from swe_agent.agents.models.client import ModelClient, Sample
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.models.prompt_digest import prompt_sha256
from swe_agent.tools.errors import ContextOverflowError, ModelError, RecordError

from .memory_journal import MemoryJournal


def test_a_journal_answers_as_the_endpoint_did_and_costs_nothing() -> None:
    journal = MemoryJournal()
    with ModelServer(REPLIES) as server:
        first = asyncio.run(loop(client_on(server.base, journal=journal), 4))
    seen: list[Call] = []

    class Heard(MemoryJournal):
        def called(self, call: Call) -> None:
            seen.append(call)

    client = make_client("openai/m", scope="n0/coder/0", journal=journal, observer=Heard(), replay_only=True)
    assert asyncio.run(loop(client, 4)) == first
    assert [call.replayed for call in seen] == [True] * 4
    assert [call.attempts for call in seen] == [0] * 4


def test_a_replay_that_diverges_says_where() -> None:
    journal = MemoryJournal()
    with ModelServer(REPLIES) as server:
        asyncio.run(loop(client_on(server.base, journal=journal), 2))

    async def other() -> None:
        client = make_client("openai/m", scope="n0/coder/0", journal=journal, replay_only=True)
        await client.sample(START, tools=TOOLS)
        await client.sample([*START, user("Something else.")], tools=TOOLS)

    with pytest.raises(RecordError, match=r"call 1 of n0/coder/0"):
        asyncio.run(other())


def test_a_replay_beyond_the_record_says_where() -> None:
    client = make_client(
        "anthropic/claude-sonnet-4-5", scope="n3/critic/0", journal=MemoryJournal(), replay_only=True
    )
    with pytest.raises(RecordError, match=r"no call 0 of n3/critic/0"):
        asyncio.run(client.sample(START))


def test_an_interrupted_run_goes_on_where_it_stopped() -> None:
    journal = MemoryJournal()
    with ModelServer(REPLIES) as server:
        asyncio.run(loop(client_on(server.base, journal=journal), 2))
        whole = asyncio.run(loop(client_on(server.base, journal=journal), 4))
        assert len(server.calls) == 4
        assert server.calls[2].body["messages"][2]["content"] == "I look."
    assert whole[3]["content"] == "Done."


def test_an_overflow_is_replayed_as_an_overflow() -> None:
    async def turn(client: ModelClient) -> str:
        with pytest.raises(ContextOverflowError):
            await client.sample([*START, user("long")])
        result = await client.sample(START)
        await client.close()
        return f"{result.call.index} {result.message.content}"

    journal = MemoryJournal()
    with ModelServer(
        [{"status": 400, "message": "maximum context length is 10 tokens"}, {"content": "ok"}]
    ) as server:
        assert asyncio.run(turn(client_on(server.base, journal=journal))) == "1 ok"
    client = make_client("openai/m", scope="n0/coder/0", journal=journal, replay_only=True)
    assert asyncio.run(turn(client)) == "1 ok"


def test_a_failed_call_leaves_its_number_free() -> None:
    async def run(client: ModelClient) -> list[int]:
        with pytest.raises(ModelError):
            await client.sample(START)
        indices = [(await client.sample(START)).call.index for _ in range(2)]
        await client.close()
        return indices

    with ModelServer([{"status": 404, "message": "model not found"}, {"content": "ok"}]) as server:
        assert asyncio.run(run(client_on(server.base))) == [0, 1]


def test_what_a_call_says_of_itself() -> None:
    journal = MemoryJournal()
    heard: list[Call] = []

    class Heard(MemoryJournal):
        def called(self, call: Call) -> None:
            heard.append(call)

    with ModelServer(REPLIES) as server:
        client = make_client(
            "openai/m",
            options=ModelOptions(api_base=server.base),
            scope="n0/coder/0",
            observer=Heard(),
            journal=journal,
            sampling=Sampling(temperature=0.5),
        )
        asyncio.run(loop(client, 2))
        sent = [call.body["messages"] for call in server.calls]
    assert [(call.scope, call.index) for call in heard] == [("n0/coder/0", 0), ("n0/coder/0", 1)]
    assert [call.prompt_sha256 for call in heard] == [prompt_sha256(messages) for messages in sent]
    assert heard[0].request_sha256 != heard[1].request_sha256
    assert heard[0].served_model == "scripted-1"
    assert heard[0].latency_s > 0
    json.dumps(heard[0].response)


def test_the_digest_depends_on_what_decides_the_answer_and_on_nothing_else() -> None:
    async def digest(base: str, **changes: Any) -> str:
        client = client_on(
            base, **{k: v for k, v in changes.items() if k in ("model", "sampling", "options")}
        )
        result = await client.sample(changes.get("messages", START), tools=changes.get("tools", TOOLS))
        await client.close()
        return result.call.request_sha256

    with ModelServer([{"content": "ok"}]) as one, ModelServer([{"content": "ok"}]) as two:
        plain = asyncio.run(digest(one.base))
        same = [
            asyncio.run(digest(two.base)),
            asyncio.run(digest(one.base, options={"timeout_s": 3.0, "api_keys": ("another-key",)})),
            asyncio.run(digest(one.base, messages=[replace(m) for m in START])),
        ]
        different = [
            asyncio.run(digest(one.base, model="openai/other")),
            asyncio.run(digest(one.base, sampling=Sampling(seed=1))),
            asyncio.run(digest(one.base, tools=[])),
            asyncio.run(digest(one.base, messages=START[:1])),
        ]
    assert set(same) == {plain}
    assert len({plain, *different}) == 5


def test_scopes_count_their_own_calls_and_share_connections() -> None:
    async def run(client: ModelClient) -> list[tuple[str, int]]:
        scopes = [client.scoped(f"n{i}/coder/0", sampling=Sampling(seed=i)) for i in range(5)]
        found = []
        for _ in range(3):
            results = await asyncio.gather(*(scope.sample(START) for scope in scopes))
            found += [(result.call.scope, result.call.index) for result in results]
        await client.close()
        return found

    with ModelServer([{"content": "ok"}]) as server:
        found = asyncio.run(run(client_on(server.base)))
        assert {call.body["seed"] for call in server.calls} == {0, 1, 2, 3, 4}
    assert sorted(found) == sorted((f"n{i}/coder/0", k) for i in range(5) for k in range(3))


def test_streaming_tells_text_as_it_comes() -> None:
    heard: list[str] = []

    async def run(client: ModelClient) -> Sample:
        sample = await client.sample(START, tools=TOOLS, on_text=heard.append)
        await client.close()
        return sample

    reply = {
        "content": "one two three",
        "tool_calls": [{"name": "look", "arguments": {"at": "é"}, "id": "c1"}],
    }
    with ModelServer([reply]) as server:
        sample = asyncio.run(run(client_on(server.base)))
        assert server.calls[0].body["stream"] is True
    assert "".join(heard) == "one two three" == sample.message.content
    assert json.loads(sample.message.tool_calls[0].arguments) == {"at": "é"}
    assert sample.prompt_tokens == 100


# the budget
