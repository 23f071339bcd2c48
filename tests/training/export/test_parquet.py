"""Parquet keeps what the JSON lines say: no null keys in tool calls, no lost arguments."""

import json

import pytest

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.synthetic import synthetic_records
from swe_agent.orchestrator.record.trajectory_file import write_trajectories

datasets = pytest.importorskip("datasets", reason="needs the extra export: datasets is not installed")


def test_parquet_and_json_lines_hold_the_same_rows(tmp_path, capsys):
    write_trajectories(tmp_path / "t.jsonl", synthetic_records(4))
    out = tmp_path / "out"
    assert main(["export", str(tmp_path / "t.jsonl"), "--format", "all", "--out", str(out), "--parquet"]) == 0
    assert "sft/train.parquet" in capsys.readouterr().out
    for kind in ("sft", "sft_pc", "sft_tokens", "dpo", "kto", "reward", "orm", "prm", "grpo", "rollouts"):
        table = datasets.load_dataset(
            "parquet",
            data_files=str(out / kind / "train.parquet"),
            split="train",
            cache_dir=str(tmp_path / "cache"),
        )
        lines = [json.loads(line) for line in (out / kind / "train.jsonl").read_text().splitlines()]
        assert list(table) == lines, kind
    assert main(["export", "--verify", str(out)]) == 0
