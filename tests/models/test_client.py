"""The client above its wires: journal, budget, scopes, streaming."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from servers.model_server import ModelServer

from swe_agent.agents.budget import Budget, BudgetLimits, Spending
from swe_agent.agents.models.calls import Call, Journal, ModelOptions, Sampling
from swe_agent.agents.models.client import ModelClient
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.models.journal import MemoryJournal
from swe_agent.agents.models.prompt_digest import prompt_sha256
from swe_agent.tools.errors import BudgetExceeded, ContextOverflowError, ModelError, RecordError, UsageError

TOOLS: Any = [
    {"type": "function", "function": {"name": "look", "description": "", "parameters": {"type": "object"}}}
]
START: list[LLMMessage] = [SystemMessage(content="You look."), UserMessage(content="Look.", source="user")]


def client_on(base: str, *, model: str = "openai/m", journal: Any = None, **more: Any) -> ModelClient:
    options = ModelOptions(api_base=base, max_retry_s=1.0, **more.pop("options", {}))
    return make_client(model, options=options, scope="n0/coder/0", journal=journal, observer=journal, **more)


async def loop(client: ModelClient, steps: int, *, close: bool = True) -> list[dict[str, Any]]:
    """A tool loop. Returns the responses."""
    messages = list(START)
    found = []
    for _ in range(steps):
        result = await client.create(messages, tools=TOOLS)
        found.append(dict(result.call.response))
        messages.append(AssistantMessage(content=result.content, thought=result.thought, source="coder"))
        if isinstance(result.content, list):
            results = [
                FunctionExecutionResult(content="seen", name=call.name, call_id=call.id, is_error=False)
                for call in result.content
            ]
            messages.append(FunctionExecutionResultMessage(content=results))
    if close:
        await client.close()
    return found


REPLIES = [
    {
        "content": "I look.",
        "reasoning_content": "hm",
        "tool_calls": [{"name": "look", "arguments": {"at": i}}],
    }
    for i in range(3)
] + [{"content": "Done."}]


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
        await client.create(START, tools=TOOLS)
        await client.create([*START, UserMessage(content="Something else.", source="user")], tools=TOOLS)

    with pytest.raises(RecordError, match=r"call 1 of n0/coder/0"):
        asyncio.run(other())


def test_a_replay_beyond_the_record_says_where() -> None:
    client = make_client(
        "anthropic/claude-sonnet-4-5", scope="n3/critic/0", journal=MemoryJournal(), replay_only=True
    )
    with pytest.raises(RecordError, match=r"no call 0 of n3/critic/0"):
        asyncio.run(client.create(START))


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
            await client.create([*START, UserMessage(content="long", source="user")])
        result = await client.create(START)
        await client.close()
        return f"{result.call.index} {result.content}"

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
            await client.create(START)
        indices = [(await client.create(START)).call.index for _ in range(2)]
        await client.close()
        return indices

    with ModelServer([{"status": 400, "message": "bad"}, {"content": "ok"}]) as server:
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
        result = await client.create(changes.get("messages", START), tools=changes.get("tools", TOOLS))
        await client.close()
        return result.call.request_sha256

    with ModelServer([{"content": "ok"}]) as one, ModelServer([{"content": "ok"}]) as two:
        plain = asyncio.run(digest(one.base))
        same = [
            asyncio.run(digest(two.base)),
            asyncio.run(digest(one.base, options={"timeout_s": 3.0, "api_keys": ("another-key",)})),
            asyncio.run(digest(one.base, messages=[type(m)(**m.model_dump()) for m in START])),
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
            results = await asyncio.gather(*(scope.create(START) for scope in scopes))
            found += [(result.call.scope, result.call.index) for result in results]
        await client.close()
        return found

    with ModelServer([{"content": "ok"}]) as server:
        found = asyncio.run(run(client_on(server.base)))
        assert {call.body["seed"] for call in server.calls} == {0, 1, 2, 3, 4}
    assert sorted(found) == sorted((f"n{i}/coder/0", k) for i in range(5) for k in range(3))


def test_streaming_yields_text_and_then_the_result() -> None:
    async def run(client: ModelClient) -> list[str | CreateResult]:
        found = [part async for part in client.create_stream(START, tools=TOOLS)]
        await client.close()
        return found

    reply = {
        "content": "one two three",
        "tool_calls": [{"name": "look", "arguments": {"at": "é"}, "id": "c1"}],
    }
    with ModelServer([reply]) as server:
        *text, last = asyncio.run(run(client_on(server.base)))
        assert server.calls[0].body["stream"] is True
    assert "".join(part for part in text if isinstance(part, str)) == "one two three"
    assert isinstance(last, CreateResult)
    assert isinstance(last.content, list)
    assert json.loads(last.content[0].arguments) == {"at": "é"}
    assert last.usage.prompt_tokens == 100


# the budget


def test_calls_are_booked_and_the_limit_stops_the_next() -> None:
    run = Budget(BudgetLimits(steps=2))

    async def work(client: ModelClient) -> None:
        with pytest.raises(BudgetExceeded, match="--budget-steps"):
            await loop(client, 5, close=False)
        await client.close()

    with ModelServer(REPLIES) as server:
        asyncio.run(work(client_on(server.base, budget=run.sub("coder"))))
        assert len(server.calls) == 2
    assert (run.spent.steps, run.spent.tokens) == (2, 220)


def test_tokens_are_never_exceeded_when_rollouts_run_together() -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50}
    run = Budget(BudgetLimits(tokens=2000))

    async def rollout(client: ModelClient) -> None:
        try:
            for _ in range(20):
                await client.create(START)
        except BudgetExceeded:
            pass

    async def work(client: ModelClient) -> None:
        await asyncio.gather(*(rollout(client.scoped(f"n{i}")) for i in range(8)))
        await client.close()

    with ModelServer([{"content": "ok", "usage": usage, "delay_s": 0.01}]) as server:
        sampling = Sampling(max_output_tokens=60)
        asyncio.run(work(client_on(server.base, budget=run, sampling=sampling)))
        assert len(server.calls) >= 30
    assert run.spent.tokens <= 2000
    assert run.snapshot()["reserved"]["tokens"] == 0


def test_a_nearly_spent_budget_bounds_the_answer() -> None:
    with ModelServer([{"content": "ok"}]) as server:
        client = client_on(server.base, budget=Budget(BudgetLimits(tokens=1000)))
        asyncio.run(loop(client, 1))
        assert 0 < server.calls[0].body["max_tokens"] < 1000


def test_dollars_are_booked_by_the_price_list() -> None:
    run = Budget(BudgetLimits(usd=1.0))
    with ModelServer([{"content": "ok"}]) as server:
        asyncio.run(loop(client_on(server.base, model="openai/gpt-4o", budget=run), 1))
    assert run.spent.usd == pytest.approx(100 * 2.5e-6 + 10 * 1e-5)


def test_dollars_without_a_price_are_refused_before_anything_is_spent() -> None:
    with pytest.raises(UsageError, match="--budget-tokens"):
        client_on("http://127.0.0.1:9/v1", model="openai/nobody-knows", budget=Budget(BudgetLimits(usd=1.0)))


def test_the_wall_ends_a_call_that_hangs() -> None:
    run = Budget(BudgetLimits(wall_s=0.5))

    async def work(client: ModelClient) -> None:
        with pytest.raises(BudgetExceeded, match="--timeout"):
            await client.create(START)
        await client.close()

    class Heard(MemoryJournal):
        def call_failed(self, **fields: Any) -> None:
            failures.append(fields["kind"])

    failures: list[str] = []
    with ModelServer([{"fault": "hang"}]) as server:
        options = ModelOptions(api_base=server.base)
        asyncio.run(work(make_client("openai/m", options=options, budget=run, observer=Heard())))
    assert run.wall_s < 3
    assert failures == ["infrastructure"]


def test_a_failed_call_costs_nothing_and_holds_nothing() -> None:
    run = Budget(BudgetLimits(tokens=100_000))

    async def work(client: ModelClient) -> None:
        with pytest.raises(ModelError):
            await client.create(START)
        await client.close()

    with ModelServer([{"status": 400, "message": "bad"}]) as server:
        asyncio.run(work(client_on(server.base, budget=run)))
    assert (run.spent, run.snapshot()["reserved"]["tokens"]) == (Spending(), 0)


def test_a_resumed_run_has_as_much_left_as_an_unbroken_one() -> None:
    journal = MemoryJournal()
    with ModelServer(REPLIES) as server:
        asyncio.run(loop(client_on(server.base, journal=journal), 2))
        run = Budget(BudgetLimits(steps=3))

        async def work(client: ModelClient) -> None:
            with pytest.raises(BudgetExceeded):
                await loop(client, 5, close=False)
            await client.close()

        asyncio.run(work(client_on(server.base, journal=journal, budget=run)))
        assert len(server.calls) == 3


# models that are programs


def script(path: Path, content: Mapping[str, Any]) -> str:
    file = path / "script.json"
    file.write_text(json.dumps(content))
    return f"scripted/{file}"


def test_a_script_answers_by_scope_role_and_default(tmp_path: Path) -> None:
    model = script(
        tmp_path,
        {
            "turns": {
                "n1/coder/*": [{"content": "glob"}],
                "n1/coder/7": [{"content": "exact"}],
                "critic": [{"content": "critic"}, {"content": "again", "repeat": True}],
                "critic@5": [{"content": "seed five"}],
            },
            "default": [{"content": "default"}],
        },
    )

    async def run() -> list[str]:
        client = make_client(model)
        asked = [
            ("n1/coder/0", None),
            ("n1/coder/7", None),
            ("n2/critic/0", None),
            ("n2/critic/0", 5),
            ("x", None),
        ]
        found = []
        for scope, seed in asked:
            found.append((await client.scoped(scope, sampling=Sampling(seed=seed)).create(START)).content)
        critic = client.scoped("n9/critic/0")
        found += [(await critic.create(START)).content for _ in range(3)]
        other = client.scoped("y")
        await other.create(START)
        with pytest.raises(ModelError, match="no turn 1"):
            await other.create(START)
        assert not client.is_llm
        return [str(text) for text in found]

    assert asyncio.run(run()) == [
        "glob",
        "exact",
        "critic",
        "seed five",
        "default",
        "critic",
        "again",
        "again",
    ]


def test_a_script_takes_the_ordinary_path(tmp_path: Path) -> None:
    model = script(
        tmp_path,
        {
            "default": [
                {
                    "error": {"status": 429, "message": "busy", "retry_after_s": 0, "times": 1},
                    "content": "I try.",
                    "tool_calls": [{"name": "look", "arguments": '{"broken'}],
                    "usage": {"prompt_tokens": 60, "completion_tokens": 40, "cost_usd": 0.25},
                }
            ]
        },
    )
    run = Budget(BudgetLimits(usd=1.0))
    result = asyncio.run(make_client(model, budget=run).create(START, tools=TOOLS))
    assert result.call.attempts == 2
    assert isinstance(result.content, list)
    assert result.content[0].arguments == '{"broken'
    assert (run.spent.tokens, run.spent.usd) == (100, 0.25)


@pytest.mark.parametrize(
    "text", ["not json", "[]", '{"turns": {"a": {}}}', '{"default": [{"contents": "typo"}]}']
)
def test_a_script_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(UsageError, match=r"bad\.json"):
        make_client(f"scripted/{tmp_path / 'bad.json'}")


def test_the_offline_model_is_observed_and_free() -> None:
    journal: Journal = MemoryJournal()
    client = make_client("offline/repair", scope="n0/coder/0", observer=journal, journal=journal)  # type: ignore[arg-type]
    result = asyncio.run(client.create(START))
    assert not client.is_llm
    assert (result.call.usage.prompt_tokens, result.call.usage.cost_usd) == (0, 0.0)
    assert journal.lookup("n0/coder/0", 0, result.call.request_sha256) is not None
