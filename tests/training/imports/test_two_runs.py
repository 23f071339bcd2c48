"""Two runs of another program on the same instances become pairs, by the commands of docs/training-data.md."""

import json
import re
import shlex
from pathlib import Path

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.trajectory_file import read_trajectories

PAGE = Path(__file__).resolve().parents[3] / "docs/training-data.md"
SOLVED = {"a": ("fees-1", "fees-2"), "b": ("fees-2",)}
"""Run → what it resolved of fees-1, fees-2 and fees-3."""


def documented():
    """The block of the page that imports two runs and exports their pairs, as words of each command."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (block,) = [text for language, text in blocks if not language and "--report a=" in text]
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line.partition("  #")[0])[1:] for line in lines if line.startswith("swe-agent ")]


def mini(run, instance, told):
    """As mini-swe-agent 2 writes it; the runs differ in their model and its first command, and in what `told` adds to
    the prompts of a role."""
    messages = [
        {"role": "system", "content": "You fix issues." + told.get("system", "").format(run=run)},
        {"role": "user", "content": f"Mend {instance}." + told.get("user", "").format(run=run)},
        {"role": "assistant", "content": f"```mswea_bash_command\nls {run}\n```", "extra": {}},
        {"role": "user", "content": "<output>fees.py</output>"},
        {"role": "assistant", "content": "```mswea_bash_command\nsubmit\n```", "extra": {}},
        {"role": "exit", "content": "", "extra": {"exit_status": "Submitted"}},
    ]
    info = {"exit_status": "Submitted", "submission": f"diff --git a/{run} b/{run}\n"}
    info["config"] = {"model": {"model_name": f"openai/{run}"}}
    return {"info": info, "messages": messages, "trajectory_format": "mini-swe-agent-1.1"}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Makes folders `a` and `b`, one trajectory an instance and a report each, and runs the documented commands."""

    def make(**told):
        for run, solved in SOLVED.items():
            for instance in ("fees-1", "fees-2", "fees-3"):
                (tmp_path / run / instance).mkdir(parents=True)
                text = json.dumps(mini(run, instance, told))
                (tmp_path / run / instance / f"{instance}.traj.json").write_text(text)
            others = sorted({"fees-1", "fees-2", "fees-3"} - set(solved))
            report = {"resolved_ids": list(solved), "unresolved_ids": others}
            (tmp_path / run / "report.json").write_text(json.dumps(report))
        monkeypatch.chdir(tmp_path)
        for words in documented():
            found = [sorted(map(str, Path().glob(word))) if "*" in word else [word] for word in words]
            assert main([name for names in found for name in names]) == 0
        return tmp_path

    return make


def rows(folder, kind):
    file = folder / "pairs" / kind / "train.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def test_the_documented_commands_make_pairs_of_two_runs(runs):
    place = runs()
    (pair,) = rows(place, "dpo")
    assert [message["content"] for message in pair["prompt"]] == ["You fix issues.", "Mend fees-1."]
    assert ["ls a" in pair["chosen"][0]["content"], "ls b" in pair["rejected"][0]["content"]] == [True, True]
    assert pair["margin"] == 1.0, "of fees-2 both are right and of fees-3 none: nothing tells those apart"
    assert len(rows(place, "sft")) == 3, "what a report says is resolved, and nothing else"
    labels = [row["label"] for row in rows(place, "kto")]
    assert {True, False} == set(labels)
    (whole,) = rows(place, "reward")
    assert len(whole["chosen"]) == len(whole["rejected"]) == 5
    assert main(["export", "--verify", "pairs"]) == 0


@pytest.mark.parametrize(("role", "whole"), [("user", 1), ("system", 0)])
def test_prompts_that_differ_make_no_pair_and_whole_conversations_with_one_system_message_do(
    runs, role, whole
):
    place = runs(**{role: " Your host is {run}."})
    assert rows(place, "dpo") == []
    assert len(rows(place, "reward")) == whole
    assert {row["label"] for row in rows(place, "kto")} == {True, False}, "which needs no pairs"


def test_a_run_in_which_no_model_answered_is_left_out_and_told(tmp_path, capsys):
    good, bad, out = tmp_path / "good.traj.json", tmp_path / "bad.traj.json", tmp_path / "records.jsonl"
    good.write_text(json.dumps(mini("a", "fees-1", {})))
    silent = mini("a", "fees-2", {})
    del silent["messages"][2:]
    bad.write_text(json.dumps(silent))
    assert main(["import", str(bad), str(good), "--out", str(out)]) == 0
    assert f"left out 1 trajectories in which no model answered ({bad})" in capsys.readouterr().err
    assert [record.task.instance_id for record in read_trajectories(out)] == ["good"]
    assert main(["import", str(bad), "--out", str(tmp_path / "none.jsonl")]) != 0
    assert "holds no message that a model sampled" in capsys.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()


def test_swe_agents_configuration_may_be_json_within_json(tmp_path):
    history = [
        {"role": "system", "content": "You fix issues.", "agent": "main"},
        {"role": "user", "content": "Mend it.", "agent": "main"},
        {"role": "assistant", "content": "Done.", "agent": "main"},
    ]
    data = {"trajectory": [], "history": history, "info": {}, "environment": "swe_main"}
    named = {"agent": {"model": {"name": "openai/m"}}}
    for number, (config, model) in enumerate(
        [(json.dumps(named), "openai/m"), (named, "openai/m"), ("{", "unknown"), (None, "unknown")]
    ):
        file, out = tmp_path / f"{number}.traj", tmp_path / f"{number}.jsonl"
        file.write_text(json.dumps({**data, "replay_config": config}))
        assert main(["import", str(file), "--out", str(out)]) == 0
        (record,) = read_trajectories(out)
        assert record.agents[0].model == model
