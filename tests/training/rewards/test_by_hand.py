"""R by hand: the same number in the record, in `swe-agent reward`, in every export and in the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training.checkout import committed

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.build import build_run
from swe_agent.orchestrator.training.gym.session import IssueSession
from swe_agent.orchestrator.training.gym.task import IssueTask

SOURCE = """def hours(minutes):
    return minutes // 60 + 1


def label(minutes):
    text = str(hours(minutes))
    return text + " h"
"""
TESTS = """from fees import hours


def test_part():
    assert hours(61) == 2


def test_whole():
    assert hours(60) == 1
"""
ISSUE = "hours(60) is 2, it should be 1"
WEAK = TESTS.replace("    assert hours(61) == 2\n", "    hours(61)\n")
UNTIDY = """import os


def hours(minutes):
    if minutes < 0:
        raise ValueError(minutes)
    return -(-minutes // 60)


def label(minutes):
    text = str(hours(minutes))
    return text + " h"
"""
MOVES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "breaks": [("writeFile", {"path": "fees.py", "content": SOURCE.replace(" + 1", "")})],
    "bends": [
        (
            "writeFile",
            {"path": "fees.py", "content": SOURCE.replace("minutes // 60 + 1", "-(-minutes // 60)")},
        ),
        ("shell", {"command": f"cat > test_fees.py <<'E'\n{WEAK}E"}),
    ],
    "untidy": [("writeFile", {"path": "fees.py", "content": UNTIDY})],
    "clean": [
        (
            "writeFile",
            {"path": "fees.py", "content": SOURCE.replace("minutes // 60 + 1", "-(-minutes // 60)")},
        )
    ],
}
BY_HAND = {
    # test_part breaks: the gate takes back all that was earned.
    "breaks": 0.0,
    # An assertion of an existing test is gone.
    "bends": 0.0,
    # All targets (1), coverage of fees.py from 1/3 to 2/5 of its lines (x 0.2), one unused import (x -0.05 / 10).
    "untidy": 1 + 0.2 * (2 / 5 - 1 / 3) - 0.05 * 1 / 10,
    "clean": 1.0,
}
SPEC = 'name = "timeless"\n[weights]\ntime = 0.0\n'


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed(tmp_path_factory.mktemp("by-hand") / "fees", {"fees.py": SOURCE, "test_fees.py": TESTS})


def solved(repository: Path, case: str, folder: Path, *flags: str) -> Path:
    turns = [
        {"tool_calls": [{"name": name, "arguments": arguments}]}
        for name, arguments in [*MOVES[case], ("finish", {"summary": "done"})]
    ]
    (folder / "script.json").write_text(json.dumps({"turns": {"n0/single/0": turns}, "default": GIVE_UP}))
    model = f"scripted/{folder / 'script.json'}"
    command = ["solve", "--text", ISSUE, "--repo", str(repository), "--model", model, "--quiet", *flags]
    main([*command, "--roles", "single", "--search", "linear", "--output", str(folder / "run")])
    return folder / "run"


GIVE_UP = [{"tool_calls": [{"name": "finish", "arguments": {"summary": "no idea", "gaveUp": True}}]}]


@pytest.mark.parametrize("case", list(BY_HAND))
def test_the_reward_is_the_same_everywhere(
    case: str, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = solved(repository, case, tmp_path, "--measure", "all")
    spec = tmp_path / "reward.toml"
    spec.write_text(SPEC)
    capsys.readouterr()
    assert main(["reward", str(run), "--reward", str(spec), "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["total"] for line in said] == [pytest.approx(BY_HAND[case], abs=1e-6)]
    measured = {name: part["value"] for name, part in said[0]["components"].items()}
    assert measured["lint"] == (0.1 if case == "untidy" else 0.0)
    assert measured["coverage"] == pytest.approx(1 / 15 if case == "untidy" else 0.0, abs=1e-6)

    out = tmp_path / "out"
    flags = ["--only", "all", "--include-offline", "--reward", str(spec), "--out", str(out)]
    assert main(["export", str(run), "--format", "sft,prm,grpo,atif", *flags]) == 0
    (sft,) = rows(out, "sft")
    assert json.loads(sft["metadata"])["reward"] == pytest.approx(BY_HAND[case], abs=1e-6)
    assert [row["values"][-1] for row in rows(out, "prm")] == [pytest.approx(BY_HAND[case], abs=1e-6)]
    assert [row["extra"]["reward"] for row in rows(out, "atif")] == [pytest.approx(BY_HAND[case], abs=1e-6)]
    (kept,) = (json.loads(line) for line in (out / "trajectories.jsonl").read_text().splitlines())
    rewards = [node["reward"]["total"] for node in kept["nodes"] if node["reward"]]
    assert rewards == [pytest.approx(BY_HAND[case], abs=1e-6)]

    session = IssueSession(repositories=repository.parent, reward=str(spec))
    session._default = IssueTask(str(repository), ISSUE, measure="all")
    (row,) = rows(out, "grpo")
    session.reset(**row)
    for message in sft["messages"]:  # the calls of the row act in the environment as they did in the run
        for call in message.get("tool_calls", ()):
            getattr(session, call["function"]["name"])(**call["function"]["arguments"])
    assert session.get_reward() == pytest.approx(BY_HAND[case], abs=1e-6)
    session._close()


def test_what_is_measured_can_be_switched_off_and_costs_what_the_record_says(
    repository: Path, tmp_path: Path
) -> None:
    kinds = {}
    for measure in ("none", "lint", "all"):
        folder = tmp_path / measure
        folder.mkdir()
        record = build_run(solved(repository, "untidy", folder, "--measure", measure))
        kinds[measure] = {
            found.kind: found for found in record.evaluations if found.kind in ("lint", "coverage")
        }
    assert {name: set(found) for name, found in kinds.items()} == {
        "none": set(),
        "lint": {"lint"},
        "all": {"lint", "coverage"},
    }
    coverage = kinds["all"]["coverage"]
    assert (coverage.before, coverage.after) == (pytest.approx(1 / 3, abs=1e-6), 0.4)
    assert coverage.wall_s is not None
    assert coverage.wall_s > (kinds["all"]["lint"].wall_s or 0.0)


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / kind / "train.jsonl").read_text().splitlines()]
