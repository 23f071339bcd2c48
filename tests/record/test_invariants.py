"""For each invariant: records that break it are refused, and the message names it."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.record.invariants import INVARIANTS, check
from swe_agent.orchestrator.record.synthetic import synthetic_record
from swe_agent.orchestrator.record.trajectory_file import dump, load
from swe_agent.tools.errors import RecordError


def sampled(data):
    return [message for message in data["messages"] if message["sampled"]]


def tools(data):
    return [message for message in data["messages"] if message["role"] == "tool"]


def leaves(data):
    return [node for node in data["nodes"] if node["terminal"]]


def repeat_id(data, pick):
    kind, key = pick.choice([("messages", "id"), ("nodes", "id"), ("patches", "id"), ("agents", "name")])
    data[kind].append(dict(pick.choice(data[kind])))
    assert data[kind][-1][key]


def child_first(data, pick):
    kind = pick.choice(["messages", "nodes"])
    items = data[kind]
    index = pick.choice([i for i, item in enumerate(items) if item["parent"] is not None])
    items[index]["parent"] = pick.choice(["nowhere", items[-1]["id"], items[index]["id"]])
    if items[index]["parent"] == items[-1]["id"] and index == len(items) - 1:
        items[index]["parent"] = "nowhere"


def dangling(data, pick):
    node = pick.choice(leaves(data))
    pick.choice(
        [
            lambda: node.update(patch="p-none"),
            lambda: node.update(tips={"coder": "m-none"}),
            lambda: node.update(tips={"nobody": node["tips"]["coder"]}),
            lambda: node.update(duplicate_of="n-none"),
            lambda: data["patches"][0].update(node="n-none"),
            lambda: data["evaluations"][0].update(node="n-none"),
            lambda: data["selected"].update(patch="p-none"),
            lambda: data["agents"][0].update(toolset="none"),
            lambda: pick.choice(data["messages"]).update(node="n-none"),
            lambda: pick.choice(data["messages"]).update(agent="nobody"),
        ]
    )()


def fabricate(data, pick):
    pick.choice(
        [
            lambda: data["calls"].pop(pick.randrange(len(data["calls"]))),
            lambda: data["calls"].append(dict(pick.choice(data["calls"]))),
            lambda: pick.choice(data["messages"][:2]).update(sampled=True),
            lambda: pick.choice(sampled(data)).update(sampled=False, tokens=None),
        ]
    )()


def change_prompt(data, pick):
    parents = {message["parent"] for message in data["messages"]}
    pick.choice(
        [
            lambda: pick.choice([m for m in tools(data) if m["id"] in parents]).update(
                content="something else"
            ),
            lambda: data["messages"][0].update(content="another system prompt"),
            lambda: data["messages"][1].update(role="system"),
            lambda: sampled(data)[0].update(content="I never said this"),
            lambda: pick.choice(data["calls"]).update(prompt_sha256="0" * 64),
        ]
    )()


def bend_tokens(data, pick):
    message = pick.choice(sampled(data))
    tokens = message["tokens"]
    pick.choice(
        [
            lambda: tokens["mask"].pop(),
            lambda: tokens["token_ids"].append(5),
            lambda: tokens["logprobs"].pop(),
            lambda: tokens["logprobs"].append(-0.1),
            lambda: tokens["mask"].__setitem__(0, 2),
            lambda: tokens["logprobs"].__setitem__(0, 0.5),
            lambda: tokens["token_ids"].__setitem__(0, -1),
            lambda: data["messages"][1].update(tokens=dict(tokens)),
        ]
    )()


def lie_about_arguments(data, pick):
    call = pick.choice(sampled(data))["tool_calls"][0]
    call["arguments_parsed"] = pick.choice([None, {}, {**call["arguments_parsed"], "more": 1}])


def answer_wrongly(data, pick):
    tool = tools(data)[-1]
    pick.choice(
        [
            lambda: tool.update(tool_call_id="c-none"),
            lambda: data["messages"].append({**tool, "id": "twice", "parent": tool["id"]}),
            lambda: data["messages"].append({**tool, "id": "user", "role": "user", "parent": tool["id"]}),
        ]
    )()


def miscount_reward(data, pick):
    reward = pick.choice(leaves(data))["reward"]
    pick.choice(
        [
            lambda: reward.update(total=reward["total"] + pick.choice([-1, 0.01, 3])),
            lambda: reward["components"]["tests"].update(weight=reward["total"] + 7.0, value=1.0),
            lambda: reward["components"].update(extra={"value": 0.5, "weight": 0.5}),
        ]
    )()


def claim_resolved(data, pick):
    pick.choice(
        [
            lambda: data["outcome"].update(resolved=False),
            lambda: data.update(selected=None),
            lambda: data["selected"].update(node="n2"),
            lambda: data.update(evaluations=[e for e in data["evaluations"] if e["kind"] != "hidden"]),
            lambda: [e.update(valid=False) for e in data["evaluations"]],
        ]
    )()


def zero_for_null(data, pick):
    node = pick.choice(leaves(data))
    pick.choice(
        [
            lambda: node.update(exit_status="infrastructure"),
            lambda: node["reward"].update(total=0.0, components={"tests": {"value": None, "weight": 1.0}}),
            lambda: data["totals"].update(cost_usd=0.0),
            lambda: data["evaluations"][0].update(f2p=[3, 2]),
            lambda: node.update(visits=0),
        ]
    )()


MUTATIONS = {
    "unique-ids": repeat_id,
    "parents-first": child_first,
    "references": dangling,
    "one-call": fabricate,
    "exact-prompt": change_prompt,
    "token-lengths": bend_tokens,
    "arguments": lie_about_arguments,
    "tool-results": answer_wrongly,
    "reward-sum": miscount_reward,
    "resolved": claim_resolved,
    "null-not-zero": zero_for_null,
}


def test_every_invariant_has_a_mutation():
    assert set(MUTATIONS) == set(INVARIANTS)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 9), branches=st.integers(1, 4))
def test_a_valid_record_is_accepted_and_comes_back_the_same(seed, steps, branches):
    record = synthetic_record(seed, steps=max(steps, 2), branches=branches)
    assert load(dump(record)) == record
    assert dump(load(dump(record))) == dump(record)


@pytest.mark.parametrize("name", sorted(MUTATIONS))
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_broken_record_is_refused_by_name(name, seed):
    data = json.loads(dump(synthetic_record(seed % 50, steps=6, branches=2)))
    pick = random.Random(seed)
    MUTATIONS[name](data, pick)
    with pytest.raises(RecordError) as refused:
        load(json.dumps(data))
    assert f"invariant {name}:" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_each_law_finds_its_own_violation_even_where_another_comes_first():
    """`check` names the first law; the law itself must see the damage too."""
    from swe_agent.orchestrator.record.build import validated

    for name, mutate in MUTATIONS.items():
        data = json.loads(dump(synthetic_record(3, steps=6, branches=2)))
        mutate(data, random.Random(1))
        assert list(INVARIANTS[name](validated(data))), name


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(surprise=1),
        lambda data: data["task"].update(gold_patch="diff"),
        lambda data: data["messages"][0].update(role="robot"),
        lambda data: data.pop("totals"),
        lambda data: data["nodes"][1]["reward"].update(total=float("nan")),
        lambda data: data["evaluations"][0].update(kind="guess"),
    ],
)
def test_what_the_schema_does_not_know_is_refused(change):
    data = json.loads(dump(synthetic_record(1)))
    change(data)
    with pytest.raises(RecordError, match="invariant schema"):
        load(json.dumps(data))


def test_check_accepts_what_was_not_measured():
    record = synthetic_record(4, tokens=False)
    for node in record.nodes:
        node.reward = None
        node.value = None
    record.outcome.resolved = None
    for call in record.calls:
        call.prompt_sha256 = None
    check(record)
