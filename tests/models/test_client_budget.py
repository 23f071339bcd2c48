"""The client and its budget, and scripts in place of an endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from models.looping import REPLIES, START, TOOLS, client_on, loop
from servers.model_server import ModelServer

from swe_agent.agents.budget import Budget, BudgetLimits, Spending
from swe_agent.agents.models.calls import ModelOptions, Sampling
from swe_agent.agents.models.client import ModelClient
from swe_agent.agents.models.factory import make_client
from swe_agent.tools.errors import BudgetExceeded, ModelError, UsageError

from .memory_journal import MemoryJournal


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
                await client.sample(START)
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
    assert run.reserved.tokens == 0


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
            await client.sample(START)
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
            await client.sample(START)
        await client.close()

    with ModelServer([{"status": 400, "message": "bad"}]) as server:
        asyncio.run(work(client_on(server.base, budget=run)))
    assert (run.spent, run.reserved.tokens) == (Spending(), 0)


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
            found.append(
                (await client.scoped(scope, sampling=Sampling(seed=seed)).sample(START)).message.content
            )
        critic = client.scoped("n9/critic/0")
        found += [(await critic.sample(START)).message.content for _ in range(3)]
        other = client.scoped("y")
        await other.sample(START)
        with pytest.raises(ModelError, match="no turn 1"):
            await other.sample(START)
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
    result = asyncio.run(make_client(model, budget=run).sample(START, tools=TOOLS))
    assert result.call.attempts == 2
    assert result.message.tool_calls[0].arguments == '{"broken'
    assert (run.spent.tokens, run.spent.usd) == (100, 0.25)


@pytest.mark.parametrize(
    "text", ["not json", "[]", '{"turns": {"a": {}}}', '{"default": [{"contents": "typo"}]}']
)
def test_a_script_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(UsageError, match=r"bad\.json"):
        make_client(f"scripted/{tmp_path / 'bad.json'}")


def test_the_offline_model_is_observed_and_free() -> None:
    journal = MemoryJournal()
    client = make_client("offline/repair", scope="n0/coder/0", observer=journal, journal=journal)
    result = asyncio.run(client.sample(START))
    assert not client.is_llm
    assert (result.call.usage.prompt_tokens, result.call.usage.cost_usd) == (0, 0.0)
    assert journal.lookup("n0/coder/0", 0, result.call.request_sha256) is not None
