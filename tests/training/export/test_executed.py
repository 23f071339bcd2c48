"""acecoder, cure and advantages by hand, from a record whose candidates ran the same tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swe_agent.orchestrator.record.schema import Evaluation, Trajectory
from swe_agent.orchestrator.record.synthetic import synthetic_record
from swe_agent.orchestrator.training.export.export import export
from swe_agent.orchestrator.training.export.options import ExportOptions
from swe_agent.orchestrator.training.export.verify import verify

OWN = [f"test_a.py::test_{name}" for name in "abcde"]
SHARP, LIE = "tests/test_issue_0.py::test_sharp", "tests/test_issue_1.py::test_lie"


def run(outcomes: dict[str, str]) -> Trajectory:
    """Node → which of `OWN`, SHARP and LIE pass, as letters (`abcdesl`)."""
    record = synthetic_record(1, branches=len(outcomes), steps=4)
    record.evaluations = []
    record.outcome.resolved = None
    names = dict(zip("abcdesl", [*OWN, SHARP, LIE], strict=True))
    for node, passing in outcomes.items():
        tests = {name: "passed" if letter in passing else "failed" for letter, name in names.items()}
        tests["test_far.py::test_of_this_one_alone" + node] = "failed"
        record.evaluations.append(
            Evaluation(
                node=node, kind="visible", f2p=(len(set(passing) & set("abcde")), 5), tests=tests, valid=True
            )
        )
    record.task = record.task.model_copy(
        update={
            "test_files": {"tests/test_issue_0.py": "def test_sharp(): ..."},
            "later_tests": {"tests/test_issue_1.py": "def test_lie(): ..."},
        }
    )
    return record


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / kind / "train.jsonl").read_text().splitlines()]


def test_pairs_and_tester_rewards_come_from_the_matrix_of_the_record(tmp_path: Path) -> None:
    record = run({"n1": "abcdes", "n2": "abl", "n3": "abcl"})
    export([record], ["acecoder", "cure"], tmp_path / "out", ExportOptions(only="all"))
    assert verify(tmp_path / "out")
    patches = {patch.node: patch.text for patch in record.patches}
    # Kept: what n1 passes, a to e and SHARP. n1 1, n2 2/6, n3 3/6; the far tests ran on one candidate each.
    found = [
        (row["chosen"][0]["content"], row["rejected"][0]["content"], row["chosen_rate"], row["rejected_rate"])
        for row in rows(tmp_path / "out", "acecoder")
    ]
    assert found == [
        (patches["n1"], patches["n2"], 1.0, pytest.approx(2 / 6, abs=1e-6)),
        (patches["n1"], patches["n3"], 1.0, 0.5),
    ]
    # Right by a to e: n1. SHARP catches both wrong ones: 1; LIE fails the right one and lets both pass: -1.
    tests = {row["path"]: row for row in rows(tmp_path / "out", "cure")}
    assert {path: row["reward"] for path, row in tests.items()} == {
        "tests/test_issue_0.py": 1.0,
        "tests/test_issue_1.py": -1.0,
    }
    assert [row["advantage"] for row in tests.values()] == [1.0, -1.0]
    assert tests["tests/test_issue_0.py"]["completion"][0]["content"] == "def test_sharp(): ..."
    assert tests["tests/test_issue_0.py"]["tests"] == [SHARP]


@pytest.mark.parametrize(
    ("outcomes", "kind", "reason"),
    [
        ({"n1": "ab", "n2": "abc"}, "acecoder", "none_accepted"),
        ({"n1": "abcdes", "n2": "abcd"}, "acecoder", "no_pair"),
        ({"n1": "abcdes", "n2": "abcdel"}, "cure", "nothing_decides"),
    ],
)
def test_what_nothing_decides_is_no_row(
    tmp_path: Path, outcomes: dict[str, str], kind: str, reason: str
) -> None:
    done = export([run(outcomes)], [kind], tmp_path / "out", ExportOptions(only="all"))
    assert done.rows[f"{kind}/train.jsonl"] == 0
    assert done.manifest["dropped"][kind] == {reason: 1}


def test_advantages_are_zero_on_the_trunk_and_against_the_siblings_at_a_branch(tmp_path: Path) -> None:
    record = run({"n1": "abcde", "n2": "ab"})
    export([record], ["prm", "rollouts"], tmp_path / "out", ExportOptions(only="all"))
    # Rewards 1 and 0.4 (what else R weighs was not measured). Two common steps, then they part: mean 0.7.
    by_hand = {1.0: [0.0, 0.0, 0.3, 0.0], 0.4: [0.0, 0.0, -0.3, 0.0]}
    for row in rows(tmp_path / "out", "prm"):
        assert row["advantages"] == pytest.approx(by_hand[row["values"][-1]])
    for row in rows(tmp_path / "out", "rollouts"):
        assert row["step_advantages"] == pytest.approx(by_hand[row["reward"]])
        assert row["advantage"] == pytest.approx(row["reward"] - 0.7)
