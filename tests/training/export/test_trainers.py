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


def ids_of_branches(trace: dict[str, Any]) -> list[tuple[list[int], list[bool]]]:
    """What verifiers trains: ids and mask along each path from a root to a leaf."""
    nodes = trace["nodes"]
    leaves = set(range(len(nodes))) - {node["parent"] for node in nodes}
    found = []
    for at in sorted(leaves):
        path: list[dict[str, Any]] = []
        while at is not None:
            path.insert(0, nodes[at])
            at = path[0]["parent"]
        found.append(
            tuple([one for node in path for one in node.get(key, [])] for key in ("token_ids", "mask"))
        )
    return found


def test_verifiers_gets_the_sampled_ids_as_a_graph(records: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    for message in lines[0]["messages"]:
        if message["sampled"] and message["id"] == "m6":  # a template that rewrites what was said
            message["tokens"]["context_ids"] = [5, 6, 7]
    given = tmp_path / "given.jsonl"
    given.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "out"
    made(given, out, "verifiers")
    episodes = [
        json.loads(line) for line in (out / "for-verifiers/train/traces.jsonl").read_text().splitlines()
    ]
    rollouts = plain(out, "rollouts")
    branches = [branch for episode in episodes for branch in ids_of_branches(episode["traces"][0])]
    whole = [row["prompt_ids"] + row["completion_ids"] for row in rollouts]
    assert sorted(ids for ids, _ in branches) == sorted(whole)
    assert len(branches) == len(episodes) + 2, "the rewritten context begins anew, in both rollouts below it"
    for episode in episodes:
        (trace,) = episode["traces"]
        assert episode["task"]["key"] == episode["group"]["id"].split("/")[0]
        assert [call["node"] for call in trace["calls"]] == [
            number for number, node in enumerate(trace["nodes"]) if node["sampled"]
        ]
        for node in trace["nodes"]:
            sampled = sum(node.get("mask", []))
            assert sampled == len(node.get("logprobs", [])) == len(node.get("advantages", []))
            assert bool(sampled) == node["sampled"]
            assert node.get("tools", []) == ([] if node["parent"] is not None else trace["tools"])
    assert sorted(e["traces"][0]["rewards"]["reward"]["score"] for e in episodes) == sorted(
        {(row["group_id"].split("/")[0], row["reward"]): row["reward"] for row in rollouts}.values()
    )


def test_prime_rl_gets_text_arguments_and_a_value_a_token(records: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made(records, out, "prime-rl")
    rows = [json.loads(line) for line in (out / "for-prime-rl/sft/train.jsonl").read_text().splitlines()]
    for row, ours in zip(rows, plain(out, "sft"), strict=True):
        for message, mine in zip(row["messages"], ours["messages"], strict=True):
            told = [json.loads(call["function"]["arguments"]) for call in message.get("tool_calls", ())]
            assert told == [call["function"]["arguments"] for call in mine.get("tool_calls", ())]
    samples = [
        json.loads(line) for line in (out / "for-prime-rl/rollouts/train.jsonl").read_text().splitlines()
    ]
    for sample, ours in zip(samples, plain(out, "rollouts"), strict=True):
        assert sample["token_ids"] == ours["prompt_ids"] + ours["completion_ids"]
        assert {len(sample[key]) for key in ("mask", "logprobs", "temperatures", "advantages")} == {
            len(sample["mask"])
        }
        assert set(sample["temperatures"]) == {1.0}
        trained = {a for a, bit in zip(sample["advantages"], sample["mask"], strict=True) if bit}
        assert trained == {ours["advantage"]}


def test_what_prime_rl_cannot_do_without_is_not_made_up(
    records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    for call in lines[0]["calls"]:
        call["sampling"] = {}
    for message in lines[1]["messages"]:
        if message["sampled"]:
            message["tokens"]["logprobs"] = None
    given = tmp_path / "given.jsonl"
    given.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made(given, tmp_path / "out", "prime-rl")
    assert "rollouts for prime-rl: left out no_logprobs 2, no_temperature 2" in capsys.readouterr().err
    kept = (tmp_path / "out/for-prime-rl/rollouts/train.jsonl").read_text().splitlines()
    assert len(kept) == 2


@pytest.mark.parametrize(
    ("trainer", "formats", "word"),
    [
        ("axolotl", "sft", "ms-swift, llama-factory"),
        ("slime", "sft", "takes --format grpo"),
        ("verifiers", "sft", "takes --format rollouts"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_is_written(
    records: Path, tmp_path: Path, trainer: str, formats: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(records), "-f", formats, "--for", trainer, "--out", str(tmp_path / "out")]
    assert main(command) != 0
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
