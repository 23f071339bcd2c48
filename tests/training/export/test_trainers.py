"""Tables for other trainers hold the fields that their readers document, and nothing that they drop unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.synthetic import synthetic_records
from swe_agent.orchestrator.record.trajectory_file import write_trajectories


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trainers") / "records.jsonl"
    write_trajectories(path, synthetic_records(3, steps=6, branches=2))
    return path


def made(records: Path, out: Path, trainer: str) -> dict[str, list[dict[str, Any]]]:
    command = [
        "export",
        str(records),
        "--format",
        "all",
        "--only",
        "all",
        "--for",
        trainer,
        "--out",
        str(out),
    ]
    assert main(command) == 0
    assert main(["export", "--verify", str(out)]) == 0
    return {
        path.stem.removesuffix("-train"): [json.loads(line) for line in path.read_text().splitlines()]
        for path in (out / f"for-{trainer}").glob("*.jsonl")
    }


def told(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in message.items() if key != "loss"} for message in messages]


def plain(out: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / kind / "train.jsonl").read_text().splitlines()]


def test_ms_swift_gets_whole_conversations(records: Path, tmp_path: Path) -> None:
    tables = made(records, tmp_path / "out", "ms-swift")
    assert set(tables) == {"sft", "sft_pc", "kto", "dpo", "reward"}
    for row in (row for rows in tables.values() for row in rows):
        assert {message["role"] for message in row["messages"]} <= {"system", "user", "assistant", "tool"}
        assert isinstance(json.loads(row["tools"]), list)
    for row, ours in zip(tables["dpo"], plain(tmp_path / "out", "dpo"), strict=True):
        assert told(row["messages"]) == [*ours["prompt"], *ours["chosen"]]
        assert told(row["rejected_messages"]) == [*ours["prompt"], *ours["rejected"]]
    for row in (*tables["sft_pc"], *tables["kto"]):
        trained = [one for one in row["messages"] if one["role"] == "assistant" and one.get("loss", True)]
        assert trained == [row["messages"][-1]], "what was said before is trained by its own row"
    assert {row["label"] for row in tables["kto"]} == {True, False}


def test_llama_factory_gets_turns_that_alternate(records: Path, tmp_path: Path) -> None:
    tables = made(records, tmp_path / "out", "llama-factory")
    assert set(tables) == {"sft", "sft_pc", "kto", "dpo"}
    sides = ({"human", "observation"}, {"gpt", "function_call"})
    for kind, rows in tables.items():
        for row in rows:
            turns = row["conversations"]
            assert all(turn["from"] in sides[number % 2] for number, turn in enumerate(turns))
            assert len(turns) % 2 == (1 if kind == "dpo" else 0)
            assert row["system"].startswith("You fix issues")
            calls = [json.loads(turn["value"]) for turn in turns if turn["from"] == "function_call"]
            assert all({"name", "arguments"} == set(call) for call in calls)
    told = json.loads((tmp_path / "out/for-llama-factory/dataset_info.json").read_text())
    assert told["dpo-train"]["ranking"] is True
    assert told["kto-train"]["columns"]["kto_tag"] == "label"
    assert {entry["file_name"] for entry in told.values()} == {f"{kind}-train.jsonl" for kind in tables}


@pytest.mark.parametrize("trainer", ["skyrl", "slime", "nemo-gym"])
def test_tasks_for_trainers_that_roll_out_themselves(records: Path, tmp_path: Path, trainer: str) -> None:
    rows = made(records, tmp_path / "out", trainer)["grpo"]
    for row, ours in zip(rows, plain(tmp_path / "out", "grpo"), strict=True):
        if trainer == "skyrl":
            assert (row["prompt"], row["env_class"]) == (ours["prompt"], "swe_agent")
            assert row["base_commit"] == ours["base_commit"]
        elif trainer == "slime":
            assert isinstance(row["metadata"], dict)
            assert {"image", "problem_statement", "instance_id"} <= row["metadata"].keys()
        else:
            assert row["responses_create_params"]["input"] == ours["prompt"]
            assert row["fail_to_pass"] == ours["fail_to_pass"]


@pytest.mark.parametrize(
    ("trainer", "formats", "word"),
    [("axolotl", "sft", "ms-swift, llama-factory"), ("slime", "sft", "takes --format grpo")],
)
def test_what_is_not_known_is_refused_before_anything_is_written(
    records: Path, tmp_path: Path, trainer: str, formats: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(records), "-f", formats, "--for", trainer, "--out", str(tmp_path / "out")]
    assert main(command) != 0
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
