"""Predictions, ATIF documents, the command line, and memory."""

import json

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.synthetic import synthetic_record, synthetic_records
from swe_agent.orchestrator.record.trajectory_file import write_trajectories
from swe_agent.orchestrator.training.export.export import export


def rows(folder, kind, name="train"):
    return [json.loads(line) for line in (folder / kind / f"{name}.jsonl").read_text().splitlines()]


def test_predictions_are_what_the_harness_reads(everything):
    by_id = json.loads((everything / "preds/preds.json").read_text())
    lines = [json.loads(line) for line in (everything / "preds/all_preds.jsonl").read_text().splitlines()]
    assert list(by_id.values()) == lines
    assert set(lines[0]) == {"instance_id", "model_name_or_path", "model_patch"}
    assert "/" not in lines[0]["model_name_or_path"]


def test_atif_documents_are_accepted_by_the_package(everything):
    from atif.trajectory import Trajectory

    documents = [Trajectory.model_validate(row) for row in rows(everything, "atif")]
    assert len(documents) == 36
    first = documents[0]
    assert first.schema_version == "ATIF-v1.8"
    assert [step.source for step in first.steps[:3]] == ["system", "user", "agent"]
    assert all(step.observation is not None for step in first.steps if step.source == "agent")


def test_atif_marks_what_an_earlier_path_told(tmp_path):
    record = synthetic_record(1, branches=3, steps=6)
    export([record], ["atif"], tmp_path / "out")
    steps = [
        step for row in rows(tmp_path / "out", "atif") for step in row["steps"] if step["source"] == "agent"
    ]
    fresh = [step for step in steps if not step.get("is_copied_context")]
    assert len(steps) == 18
    assert len(fresh) == sum(message.sampled for message in record.messages) == 12, "each is trained once"


def test_atif_embeds_the_other_roles(tmp_path):
    record = synthetic_record(1, branches=1, tokens=False)
    critic = record.agents[0].model_copy(update={"name": "critic", "role": "critic"})
    record.agents.append(critic)
    asked = record.messages[1].model_copy(update={"id": "q", "parent": None, "agent": "critic", "node": "n1"})
    answer = record.messages[2].model_copy(
        update={"id": "a", "parent": "q", "agent": "critic", "node": "n1", "tool_calls": []}
    )
    record.messages += [asked, answer]
    record.calls.append(record.calls[0].model_copy(update={"message": "a", "prompt_sha256": None}))
    export([record], ["atif"], tmp_path / "out")
    (document,) = rows(tmp_path / "out", "atif")
    (sub,) = document["subagent_trajectories"]
    assert sub["agent"]["extra"]["role"] == "critic"
    refs = document["steps"][-1]["observation"]["results"]
    assert refs == [{"subagent_trajectory_ref": [{"trajectory_id": sub["trajectory_id"]}]}]


def test_the_command_line(tmp_path, capsys):
    path = tmp_path / "t.jsonl"
    write_trajectories(path, synthetic_records(3))
    path.write_bytes(path.read_bytes()[:-500])
    assert (
        main(["export", str(path), "--format", "sft,kto", "--format", "dpo", "--out", str(tmp_path / "o")])
        == 0
    )
    captured = capsys.readouterr()
    assert "line 3 is cut off" in captured.err
    assert "sft/train.jsonl: 2 rows" in captured.out
    assert "sft: left out failed_candidate 2" in captured.err
    assert "cut off" in json.loads((tmp_path / "o/manifest.json").read_text())["losses"][0]
    assert main(["export", "--verify", str(tmp_path / "o")]) == 0
    assert main(["export", str(path), "--format", "sft", "--out", str(tmp_path / "o")]) == 0, (
        "an export is replaced"
    )
    assert not (tmp_path / "o/kto").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("x")
    for arguments in (
        [str(path), "--format", "sft", "--out", str(tmp_path / "mine")],
        [str(path), "--format", "nonsense", "--out", str(tmp_path / "x")],
        [str(path), "--format", "sft"],
        [str(tmp_path), "--format", "sft", "--out", str(tmp_path / "x")],
        [str(path), "--format", "sft", "--only", "some", "--out", str(tmp_path / "x")],
    ):
        assert main(["export", *arguments]) == 2, arguments
        assert len(capsys.readouterr().err.strip().splitlines()[-1]) > 10
    assert (tmp_path / "mine/file").read_text() == "x"
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records(tmp_path):
    """Peak memory of ten times the records stays within a few MiB (a seen digest is about 100 bytes)."""
    import subprocess
    import sys

    script = (
        "import sys, resource\n"
        "from pathlib import Path\n"
        "from swe_agent.orchestrator.training.export.export import export\n"
        "from swe_agent.orchestrator.record.synthetic import synthetic_records\n"
        "export(synthetic_records(int(sys.argv[1]), steps=2, branches=1), ['sft', 'kto'], Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", script, str(count), str(tmp_path / str(count))]))
        for count in (300, 3000)
    ]
    assert peaks[1] - peaks[0] < 12_000
