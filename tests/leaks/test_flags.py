"""A flag goes all the way: tool call → audit → record → reward."""

from __future__ import annotations

from pathlib import Path

from swe_agent.orchestrator.record.build import build_record
from swe_agent.orchestrator.record.decisions import NodeOpened
from swe_agent.orchestrator.record.events import RunStarted, ToolUsed
from swe_agent.orchestrator.record.journal import Journal
from swe_agent.orchestrator.record.log import EventLog, read_events
from swe_agent.orchestrator.record.recorder import Recorder
from swe_agent.orchestrator.record.synthetic import synthetic_record
from swe_agent.orchestrator.solving.oversight import oversee
from swe_agent.orchestrator.training.rewards.recompute import recompute
from swe_agent.orchestrator.training.rewards.shaped import Measurements, shaped_reward


def test_flags_reach_the_record(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    recorder = Recorder(log, Journal())
    recorder.append(RunStarted( schema="swe-trajectory/1", run_id="r", issue={"id": "i", "title": "t", "body": "b"},
        repository="o/flask", base_commit="c" * 40, config={}, versions={}, seed=0, is_llm=False,
    ))  # fmt: skip
    recorder.append(NodeOpened(id="n0", parent=None, kind="root", agent=None, seed=0, depth=0))
    for number, (name, arguments) in enumerate(
        (
            ("shell", {"command": "git log --all | head"}),
            ("shell", {"command": "pytest -q"}),
            ("readFile", {"path": "/venv/lib/python3.11/site-packages/flask/app.py"}),
        )
    ):
        recorder.append(ToolUsed( message=f"m{number}", node="n0", agent="coder", name=name, arguments=arguments, ok=True,
                        duration_s=0.1))  # fmt: skip
    words = oversee(read_events(tmp_path / "events.jsonl"), recorder, ["flask"])
    assert [word.split(":")[0] for word in words] == ["history", "installed-copy"]
    events = [event for event in read_events(tmp_path / "events.jsonl") if event["type"] != "tool"]
    (node,) = build_record(events).nodes
    assert tuple(node.flags) == words
    log.close()


def test_a_leak_caps_the_reward_at_zero() -> None:
    clean = shaped_reward(Measurements(pass_rate=1.0, leaks=0))
    leaky = shaped_reward(Measurements(pass_rate=1.0, leaks=2))
    assert clean.total == 1.0
    assert leaky.total == 0.0
    assert leaky.total == sum((p.value or 0) * p.weight for p in leaky.components.values())
    assert shaped_reward(Measurements(pass_rate=1.0)).total == 1.0, "not audited is not guilty"


def test_recomputed_rewards_know_the_flags() -> None:
    record = synthetic_record(1)

    def totals() -> dict[str, float]:
        nodes = recompute(record).nodes
        return {node.id: node.reward.total for node in nodes if node.reward and node.reward.total is not None}

    before = totals()
    best = max(before, key=lambda id: before[id])
    assert before[best] > 0
    next(node for node in record.nodes if node.id == best).flags = ["remote: git fetch origin"]
    assert totals()[best] == 0
