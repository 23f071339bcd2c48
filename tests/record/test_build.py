"""build_record: from events to a checked record, at every moment of a run."""

import json

import pytest

from swe_agent.agents.message import Message, ToolCall, system, tool_result, user
from swe_agent.agents.models.calls import Call, Sampling, Usage
from swe_agent.agents.models.prompt_digest import prompt_sha256
from swe_agent.orchestrator.record.build import build_record, build_run
from swe_agent.orchestrator.record.decisions import Evaluated, NodeFinished, NodeOpened, Patched, Selected
from swe_agent.orchestrator.record.events import Agent, Concluded, RunFinished, RunStarted, Toolset
from swe_agent.orchestrator.record.journal import Journal
from swe_agent.orchestrator.record.log import EventLog, read_events
from swe_agent.orchestrator.record.recorder import Recorder
from swe_agent.tools.errors import RecordError
from swe_agent.tools.toolbox.tool import ToolResult

SCOPE = "n0/coder/0"


def call(index, prompt, *, prompt_ids=None, ids=None):
    return Call(
        scope=SCOPE,
        index=index,
        request_sha256="r",
        model="m",
        served_model="m-1",
        is_llm=True,
        sampling=Sampling(temperature=0.0),
        finish_reason="tool_calls",
        usage=Usage(prompt_tokens=10, completion_tokens=2, cost_usd=None),
        latency_s=0.1,
        attempts=1,
        response={"content": "", "tool_calls": []},
        prompt_token_ids=prompt_ids,
        token_ids=ids,
        logprobs=tuple(-0.5 for _ in ids) if ids else None,
        prompt_sha256=prompt_sha256(prompt),
    )


def record_a_run(path, *, lie=False):
    """What a linear run writes, through the recorder that runs use."""
    log = EventLog(path)
    recorder = Recorder(log, Journal())
    recorder.append(
        RunStarted(
            schema="swe-trajectory/1",
            run_id="r1",
            issue={"id": "o/r#1", "title": "Broken", "body": "It fails.", "url": "http://h/o/r/issues/1"},
            repository="o/r",
            base_commit="c" * 40,
            config={"model": "m", "api_key": "secret"},
            versions={"swe-agent": "1"},
            seed=3,
            is_llm=True,
        )
    )
    recorder.append(Toolset(name="coder:m", tools=[{"type": "function", "function": {"name": "readFile"}}]))
    recorder.append(
        Agent(name="coder:m", role="coder", model="m", sampling={}, toolset="coder:m", is_llm=True)
    )
    recorder.append(NodeOpened(id="n0", parent=None, kind="root", agent=None, seed=0, depth=0))
    turn = recorder.turn(SCOPE, "coder:m")
    prompt = [{"role": "system", "content": "Fix."}, {"role": "user", "content": "It fails."}]
    turn.message(f"{SCOPE}:s0", system("Fix."), parent=None, agent="coder")
    turn.message(f"{SCOPE}:u1", user("It fails."), parent=f"{SCOPE}:s0", agent="coder")
    tip, ids = f"{SCOPE}:u1", [1, 2, 3]
    for index in range(3):
        recorder.called(call(index, prompt[:1] if lie else prompt, prompt_ids=tuple(ids), ids=(7, 8 + index)))
        ids += [7, 8 + index]
        made = ToolCall(f"c{index}", "readFile", '{"path": "a"}')
        said = Message("assistant", tool_calls=(made,))
        turn.message(f"{SCOPE}:{index}", said, parent=tip, agent="coder", sampled=True)
        result = tool_result(made, "text")
        turn.message(f"{SCOPE}:{index}.t0", result, parent=f"{SCOPE}:{index}", agent="coder")
        turn.tool(
            f"{SCOPE}:{index}.t0",
            agent="coder",
            name="readFile",
            arguments={"path": "a"},
            result=ToolResult("text"),
            duration_s=0.1,
        )
        prompt += [
            {"role": "assistant", "content": None, "tool_calls": [made.to_openai()]},
            {"role": "tool", "tool_call_id": f"c{index}", "content": "text"},
        ]
        tip = f"{SCOPE}:{index}.t0"
        ids += [4, 5]
    recorder.append(Patched(id="p0", node="n0", text="diff", sha256="d", normalised_hash="h", files=["a"]))
    recorder.append(
        Evaluated(
            node="n0",
            kind="regression",
            tests={"t": "passed"},
            f2p=[1, 1],
            p2p=[4, 4],
            before=None,
            after=None,
            wall_s=1.0,
            valid=True,
        )
    )
    recorder.append(
        NodeFinished(
            node="n0",
            status="finished",
            tips={"coder": tip},
            patch="p0",
            tree_hash="t",
            reward={"total": 0.7, "components": {"tests": {"value": 1.0, "weight": 0.7}}, "spec": "search/1"},
            critic={"mean": 0.5, "sd": None, "k": 1, "rationale": "fine"},
        )
    )
    recorder.append(Selected(node="n0", patch="p0", confidence=0.9, reasons=["only one"]))
    recorder.append(Concluded(exit_code=0, status="solved", verified=True, tests={"fixed": ["t"]}))
    recorder.append(RunFinished(totals={}))
    log.close()


def test_a_run_becomes_a_record(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    record = build_run(tmp_path)
    assert record.task.problem_statement == "Broken\n\nIt fails."
    assert record.task.issue_url == "http://h/o/r/issues/1"
    assert record.provenance.config == {"model": "m"}
    assert [message.sampled for message in record.messages].count(True) == 3
    assert all(message.agent == "coder:m" for message in record.messages)
    assert record.nodes[0].tips == {"coder:m": f"{SCOPE}:2.t0"}
    assert record.nodes[0].value == pytest.approx(0.7)
    assert record.outcome.verified is True
    assert record.outcome.resolved is None
    assert record.totals.prompt_tokens == 30
    assert record.totals.cost_usd is None
    assert record.losses == []


def test_token_deltas_make_up_the_whole_sequence(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    sampled = [message for message in build_run(tmp_path).messages if message.sampled]
    deltas = [message.tokens for message in sampled]
    assert [delta.token_ids for delta in deltas] == [[1, 2, 3, 7, 8], [4, 5, 7, 9], [4, 5, 7, 10]]
    assert [delta.mask for delta in deltas] == [[0, 0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert all(delta.context_ids is None for delta in deltas)


def test_a_prompt_that_was_not_sent_as_recorded_is_refused(tmp_path):
    record_a_run(tmp_path / "events.jsonl", lie=True)
    with pytest.raises(RecordError, match="invariant exact-prompt"):
        build_run(tmp_path)


def test_every_prefix_of_a_run_is_a_record(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    events = list(read_events(tmp_path / "events.jsonl"))
    for end in range(1, len(events)):
        record = build_record(events[:end])
        unanswered = sum(event["type"] == "call" for event in events[:end]) - len(record.calls)
        assert unanswered in (0, 1)
        assert bool(unanswered) == any("not used" in loss for loss in record.losses)


def test_a_cut_log_names_the_loss(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert any("cut off" in loss for loss in build_run(tmp_path).losses)


def test_a_resumed_run_that_says_things_again_counts_them_once(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    events = list(read_events(tmp_path / "events.jsonl"))
    assert build_record([*events[:12], *events]).messages == build_record(events).messages


def test_a_hidden_evaluation_of_the_selected_node_decides_resolved(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    events = list(read_events(tmp_path / "events.jsonl"))
    hidden = {
        "type": "evaluation",
        "node": "n0",
        "kind": "hidden",
        "f2p": [1, 1],
        "p2p": [3, 4],
        "valid": True,
    }
    assert build_record([*events, hidden]).outcome.resolved is False
    assert build_record([*events, {**hidden, "p2p": [4, 4]}]).outcome.resolved is True
    assert build_record([*events, {**hidden, "valid": False}]).outcome.resolved is None


def test_bytes_that_are_not_text_are_named(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    events = list(read_events(tmp_path / "events.jsonl"))
    patch = next(event for event in events if event["type"] == "patch")
    patch["text"] = "diff \udcff"
    record = build_record(events)
    assert record.patches[0].text == "diff �"
    assert "1 characters" in record.losses[0]


def test_a_malformed_event_is_named(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    events = list(read_events(tmp_path / "events.jsonl"))
    del events[3]["id"]
    with pytest.raises(RecordError, match=r"event 3 \(node\) is malformed"):
        build_record(events)
    with pytest.raises(RecordError, match="no run_started"):
        build_record([])


def test_a_template_that_rewrites_the_past_starts_a_new_segment():
    from swe_agent.orchestrator.record.tokens import TokenLedger

    ledger = TokenLedger()
    ledger.said("n0/a/0:u0", None, sampled=False)
    first = ledger.tokens("n0/a/0:0", ledger.above("n0/a/0"), [1, 2], [3, 4])
    ledger.said("n0/a/0:0", "n0/a/0:u0", sampled=True)
    second = ledger.tokens("n0/a/0:1", ledger.above("n0/a/0"), [1, 2, 4, 9], [5])
    assert first == {
        "tokenizer": None,
        "token_ids": [1, 2, 3, 4],
        "mask": [0, 0, 1, 1],
        "logprobs": None,
        "context_ids": None,
    }
    assert json.dumps(second["context_ids"]) == "[1, 2, 4, 9]"
    assert second["token_ids"] == [5]


def test_regressions_are_counted_against_the_baseline(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    events = list(read_events(tmp_path / "events.jsonl"))
    baseline = {
        "type": "baseline",
        "tests": {"a": "passed", "b": "passed", "c": "failed", "d": "passed"},
        "flaky": ["d"],
    }
    seen = {
        "type": "evaluation",
        "node": "n0",
        "kind": "regression",
        "tests": {"a": "passed", "c": "failed", "d": "failed"},
        "after": {"broken": ["b"]},
    }
    record = build_record([*events, baseline, seen])
    assert record.evaluations[-1].p2p == (1, 2), "b is gone, c failed before, d is flaky"


def test_what_was_said_in_a_node_that_was_never_told_is_kept(tmp_path):
    record_a_run(tmp_path / "events.jsonl")
    events = [
        event
        for event in read_events(tmp_path / "events.jsonl")
        if event["type"] not in ("node", "node_finished")
    ]
    record = build_record(events)
    assert [(node.id, node.kind, node.terminal) for node in record.nodes] == [("n0", "unfinished", False)]
    assert "node n0 was not over when the run ended" in record.losses
