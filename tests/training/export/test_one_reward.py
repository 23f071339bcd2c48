"""One reward: what `swe-agent reward` says is what every kind holds, a function of the user's own included."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.synthetic import synthetic_record, synthetic_records
from swe_agent.orchestrator.record.trajectory_file import read_trajectories, write_trajectories
from swe_agent.orchestrator.training.rewards.function import load_reward
from swe_agent.orchestrator.training.rewards.recompute import recompute
from swe_agent.tools.errors import UsageError

OWN = """
def mine(measured):
    return {"tests": measured.pass_rate, "quick": None if measured.wall_s is None else -measured.wall_s / 100}

def nonsense(measured):
    return "good"

def broken(measured):
    return 1 / 0
"""


def rows(folder: Path, kind: str) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in (folder / kind / "train.jsonl").read_text().splitlines()]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("named", [None, "mine"])
def test_exports_hold_what_the_reward_command_says(
    tmp_path: Path, own: Path, named: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs.jsonl"
    write_trajectories(runs, synthetic_records(3, branches=2))
    flags = ["--reward", f"{own}:{named}"] if named else []
    assert main(["reward", str(runs), "--json", *flags]) == 0
    said = {
        (line["run_id"], line["node"]): line["total"]
        for line in map(json.loads, capsys.readouterr().out.splitlines())
    }
    out = tmp_path / "out"
    assert (
        main(["export", str(runs), "-f", "sft,rollouts,reward", "--only", "all", "-o", str(out), *flags]) == 0
    )
    kept = {
        (record.run_id, node.id): node.reward.total
        for record in read_trajectories(out / "trajectories.jsonl")
        for node in record.nodes
        if node.reward is not None
    }
    assert kept == said
    totals = {round(total, 6) for total in said.values()}
    for row in rows(out, "sft"):
        told = json.loads(row["metadata"])
        assert round(told["reward"], 6) in totals
    assert all(round(row["reward"], 6) in totals for row in rows(out, "rollouts"))
    assert all(row["margin"] >= 0.05 for row in rows(out, "reward"))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["filters"]["reward"] == (f"{own}:mine" if named else "shaped/1")


def test_time_is_that_of_the_whole_path() -> None:
    record = synthetic_record(1, branches=1)
    leaf = next(node for node in record.nodes if node.terminal)
    for node in record.nodes:
        node.wall_s = 90.0
    depth, at = 1, leaf
    while at.parent is not None:
        at = next(node for node in record.nodes if node.id == at.parent)
        depth += 1
    fresh = next(node for node in recompute(record).nodes if node.id == leaf.id)
    assert fresh.reward is not None
    assert fresh.reward.components["time"].value == pytest.approx(min(1.0, 90.0 * depth / 1800))


@pytest.mark.parametrize(
    ("name", "word"),
    [("nonsense", "a number or None"), ("broken", "ZeroDivisionError"), ("absent", "no function absent")],
)
def test_a_function_that_is_no_reward_is_one_line(own: Path, name: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        recompute(synthetic_record(1), load_reward(f"{own}:{name}"))


def test_a_file_without_a_function_says_how(own: Path) -> None:
    with pytest.raises(UsageError, match="name the function"):
        load_reward(str(own))


def test_what_trainers_send_to_their_workers_can_be_sent() -> None:
    pytest.importorskip("gymnasium")
    from swe_agent.orchestrator.training.gym.session import session_factory
    from swe_agent.tools.sandbox.spawner import HolderError

    factory = pickle.loads(pickle.dumps(session_factory(max_steps=7, repositories="repos")))
    assert factory == session_factory(max_steps=7, repositories="repos")
    assert factory()._max_steps == 7
    error = pickle.loads(pickle.dumps(HolderError("no user namespaces", 28)))
    assert (str(error), error.number) == ("no user namespaces", 28)
