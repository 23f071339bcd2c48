"""A small verifier is plain JSON, calibrated on instances it did not see, and silent about what it does not know."""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.synthetic import synthetic_records
from swe_agent.orchestrator.record.trajectory_file import write_trajectories
from swe_agent.orchestrator.verifiers.features import NAMES
from swe_agent.orchestrator.verifiers.fit import Example, fit
from swe_agent.orchestrator.verifiers.trained import WIDTH, TrainedVerifier, read_trained
from swe_agent.tools.errors import UsageError

RATE, REGRESSIONS = 0, 2 * NAMES.index("regressions")


def drawn(count: int, seed: int = 0) -> list[Example]:
    """Right with a probability that grows with the share of passing tests and falls with what breaks."""
    rng = random.Random(seed)
    found: list[Example] = []
    for number in range(count):
        row = [0.0] * WIDTH
        row[1::2] = [1.0] * len(NAMES)
        row[RATE], row[REGRESSIONS] = rng.random(), rng.choice([0.0, 0.0, 0.7, 1.1])
        right = rng.random() < 0.1 + 0.8 * row[RATE] * (row[REGRESSIONS] == 0)
        found.append(Example(f"i{number // 3}", tuple(row), right))
    return found


@pytest.fixture(scope="module")
def trained() -> TrainedVerifier:
    return fit(drawn(300), "small")


def test_what_it_says_is_calibrated_on_instances_it_did_not_see(trained: TrainedVerifier) -> None:
    quality = trained.quality
    assert quality.brier < quality.brier_of_rate - 0.03
    assert quality.calibration_error < 0.1
    assert quality.auc > 0.7
    fresh = drawn(600, seed=1)
    said = [(trained.judge(list(one.row)).probability, one.right) for one in fresh]
    known = [(p, right) for p, right in said if p is not None]
    assert len(known) > 500
    assert abs(fmean(p for p, _ in known) - fmean(right for _, right in known)) < 0.06
    assert fit(drawn(300), "small") == trained, "the same rows and seed give the same verifier"


def test_it_abstains_outside_of_what_it_was_trained_on(trained: TrainedVerifier) -> None:
    row = list(drawn(1)[0].row)
    assert trained.judge(row).probability is not None
    row[2 * NAMES.index("lines_added")] = 9.0
    said = trained.judge(row)
    assert said.probability is None
    assert said.why == "lines_added is outside of what it was trained on"
    torn = trained.model_copy(update={"disagreement": 0.0})
    assert torn.judge(list(drawn(1)[0].row)).why == "its members disagree"


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_no_weight_makes_it_fail(weight: float, bias: float) -> None:
    data = SAMPLE | {"members": [{"weights": [weight] * WIDTH, "bias": bias, "slope": 1.0, "offset": 0.0}]}
    said = TrainedVerifier.model_validate(data).judge([1.0] * WIDTH)
    assert said.probability is not None
    assert 0 <= said.probability <= 1


SAMPLE = {
    "schema": "swe-verifier/1",
    "name": "v",
    "features": NAMES,
    "members": [{"weights": [0.0] * WIDTH, "bias": 0.0, "slope": 1.0, "offset": 0.0}],
    "least": [-1.0] * WIDTH,
    "most": [2.0] * WIDTH,
    "disagreement": 0.1,
    "quality": {
        **{"rows": 1, "instances": 1, "right": 1, "brier": 0.1},
        **{"brier_of_rate": 0.2, "calibration_error": 0.0, "auc": 0.5},
    },
}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"schema": "other/1"}, "schema"),
        ({"features": ["a"]}, "train it again"),
        ({"members": []}, "members"),
        ({"least": [0.0]}, "least"),
        (
            {"members": [{"weights": [1e400] * WIDTH, "bias": 0, "slope": 1, "offset": 0}]},
            "members.0.weights.0",
        ),
        ({"code": "import os"}, "code"),
    ],
)
def test_a_bad_file_is_one_line_before_anything_is_spent(
    change: dict[str, object], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "v.json"
    path.write_text(json.dumps(SAMPLE | change))
    with pytest.raises(UsageError, match="is no verifier"):
        read_trained(path)
    command = [
        "solve",
        "--text",
        "x",
        "--repo",
        str(tmp_path),
        "--model",
        "offline/repair",
        "--verifier",
        str(path),
    ]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert word in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("named", "word"),
    [
        ("nowhere.json", "cannot be read"),
        ("ftp://x/y", "a file or an http(s) URL"),
        ("http://127.0.0.1:9/v", "cannot be reached"),
        (".", "cannot be read"),
    ],
)
def test_what_names_no_verifier_is_one_line(
    named: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["solve", "--text", "x", "--repo", ".", "--model", "offline/repair", "--verifier", named]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert word in err
    assert len(err.splitlines()) == 1


def test_the_command_trains_on_runs_and_says_how_good_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = list(synthetic_records(16, branches=2))
    for record in records:
        for found in record.evaluations:
            if found.kind == "visible":
                found.kind = "reproduction"
    runs, out = tmp_path / "runs.jsonl", tmp_path / "v.json"
    write_trajectories(runs, records)
    assert main(["train", "verifier", str(runs), "--output", str(out)]) == 0
    assert "32 candidates of 16 instances, 16 right; held out: Brier" in capsys.readouterr().out
    assert read_trained(out).quality.auc > 0.9
    write_trajectories(runs, records[:3])
    assert main(["train", "verifier", str(runs), "--output", str(out)]) == 2
    assert "6 candidates with a verdict (3 right) of 3 instances are too few" in capsys.readouterr().err
    assert main(["train", "verifier", "--output", str(out)]) == 2
    assert main(["train", "sft", "--output", str(out)]) == 2
