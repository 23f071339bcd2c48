"""The formulas: what counts, what gates, and that null is never 0."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.orchestrator.cli.main import main
from swe_agent.orchestrator.record.synthetic import synthetic_record, synthetic_records
from swe_agent.orchestrator.record.trajectory_file import read_trajectories, write_trajectories
from swe_agent.orchestrator.training.rewards.acecoder import acecoder_pairs, kept_tests
from swe_agent.orchestrator.training.rewards.cure import rewards_of_tests, z_scores
from swe_agent.orchestrator.training.rewards.potential import step_rewards
from swe_agent.orchestrator.training.rewards.recompute import recompute
from swe_agent.orchestrator.training.rewards.shaped import Measurements, shaped_reward
from swe_agent.orchestrator.training.rewards.spec import RewardSpec

unit = st.one_of(st.none(), st.floats(0, 1))
counts = st.one_of(st.none(), st.integers(0, 40))
measurements = st.builds(
    Measurements,
    pass_rate=unit,
    coverage_change=st.one_of(st.none(), st.floats(-1, 1)),
    lint_findings=counts,
    wall_s=st.one_of(st.none(), st.floats(0, 9000)),
    regressions=counts,
    protected_edits=counts,
)


def test_the_formula_by_hand():
    reward = shaped_reward(Measurements(0.75, 0.1, 4, 900.0, 0, 0))
    assert reward.total == pytest.approx(1 * 0.75 + 0.2 * 0.1 - 0.05 * 0.4 - 0.1 * 0.5)


@given(measurements)
def test_the_total_is_the_sum_of_its_components_and_null_without_tests(measured):
    reward = shaped_reward(measured)
    parts = [part.value * part.weight for part in reward.components.values() if part.value is not None]
    if measured.pass_rate is None:
        assert reward.total is None
    else:
        assert math.isclose(reward.total, sum(parts), abs_tol=1e-9)
    for name, value in (("coverage", measured.coverage_change), ("lint", measured.lint_findings)):
        assert (reward.components[name].value is None) == (value is None)


@given(measurements)
def test_a_broken_gate_caps_at_zero_and_an_unmeasured_one_says_nothing(measured):
    reward = shaped_reward(measured)
    broken = (measured.regressions or 0) > 0 or (measured.protected_edits or 0) > 0
    if reward.total is not None and broken:
        assert reward.total <= 1e-12
    without = shaped_reward(measured, RewardSpec(gates=()))
    if reward.total is not None and not broken:
        assert reward.total == without.total


@given(measurements, st.floats(0, 1))
def test_more_tests_passed_is_never_worse(measured, more):
    if measured.pass_rate is None:
        return
    better = Measurements(
        max(measured.pass_rate, more),
        measured.coverage_change,
        measured.lint_findings,
        measured.wall_s,
        measured.regressions,
        measured.protected_edits,
    )
    assert shaped_reward(better).total >= shaped_reward(measured).total - 1e-12


@given(st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=2, max_size=12))
def test_step_rewards_sum_to_end_minus_start(potentials):
    rewards = step_rewards(potentials)
    assert len(rewards) == len(potentials) - 1
    known = [value for value in potentials if value is not None]
    assert math.isclose(
        sum(value for value in rewards if value is not None),
        (known[-1] - known[0]) if known else 0.0,
        abs_tol=1e-9,
    )
    for before, after, reward in zip(potentials, potentials[1:], rewards, strict=False):
        if after is None:
            assert reward is None
        if before is not None and after is not None:
            assert reward == after - before


def test_acecoder_divides_by_the_kept_tests():
    tests = [f"t{i}" for i in range(5)]
    passes = {
        "good": {**dict.fromkeys(tests, True), "wrong": False},
        "weak": {**dict.fromkeys(tests, False), "t0": True, "t1": True, "wrong": True},
        "zero": {**dict.fromkeys(tests, False), "wrong": True},
    }
    assert kept_tests(passes, ["good"]) == tests
    assert [(pair.chosen, pair.rejected, pair.chosen_rate) for pair in acecoder_pairs(passes, ["good"])] == [
        ("good", "weak", 1.0)
    ]
    few = {one: {test: row[test] for test in tests[:4]} for one, row in passes.items()}
    assert acecoder_pairs(few, ["good"]) == []


def test_acecoder_thresholds():
    tests = [f"t{i}" for i in range(10)]

    def passing(count):
        return {test: i < count for i, test in enumerate(tests)}

    passes = {"r": passing(10), "a": passing(8), "b": passing(4), "c": passing(5)}
    pairs = {(pair.chosen, pair.rejected) for pair in acecoder_pairs(passes, ["r"])}
    assert pairs == {("r", "b"), ("r", "c"), ("a", "b")}


def test_cure_rewards_tests_that_catch_and_punishes_those_that_lie():
    passes = {
        "right": {"trusted": True, "sharp": True, "blunt": True, "lie": False},
        "wrong1": {"trusted": False, "sharp": False, "blunt": True, "lie": True},
        "wrong2": {"trusted": False, "sharp": False, "blunt": True, "lie": True},
    }
    generated = ["sharp", "blunt", "lie"]
    assert rewards_of_tests(passes, ["trusted"], generated) == {"sharp": 1.0, "blunt": 0.0, "lie": -1.0}
    assert rewards_of_tests({"a": {"t": True}, "b": {"t": True}}, ["t"], ["g"]) == {}, "no patch is wrong"
    assert rewards_of_tests(passes, [], generated) == {}, "nobody knows which patch is right"


@given(st.dictionaries(st.text(max_size=3), st.floats(-5, 5), min_size=2, max_size=9))
def test_z_scores_have_mean_zero_and_unit_spread(values):
    scored = z_scores(values)
    if scored:
        assert abs(sum(scored.values())) < 1e-6
        assert math.isclose(sum(v * v for v in scored.values()) / len(scored), 1.0, rel_tol=1e-6)


def test_recompute_follows_the_spec(tmp_path, capsys):
    record = synthetic_record(3, branches=3)
    fresh = recompute(record, RewardSpec(name="mine"))
    assert fresh.nodes[1].reward.total == 1.0
    assert fresh.nodes[0].value == pytest.approx(sum(n.reward.total for n in fresh.nodes[1:]) / 3)
    assert fresh.nodes[1].reward.components["coverage"].value is None
    record.nodes[1].exit_status = "infrastructure"
    assert recompute(record).nodes[1].reward is None
    record.evaluations = [e for e in record.evaluations if e.kind != "hidden"]
    record.outcome.resolved = None
    assert recompute(record, RewardSpec(tests="hidden")).nodes[2].reward.total is None
    path, spec, out = tmp_path / "t.jsonl", tmp_path / "spec.toml", tmp_path / "new.jsonl"
    write_trajectories(path, synthetic_records(3))
    spec.write_text('name = "strict"\n[weights]\ntests = 2.0\n')
    assert main(["reward", str(path), "--spec", str(spec), "--out", str(out), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["spec"] for line in lines} == {"strict"}
    assert next(read_trajectories(out)).nodes[1].reward.total == 2.0
    spec.write_text("[weights]\ntest = 2.0\n")
    assert main(["reward", str(path), "--spec", str(spec)]) == 2
    assert "weights.test" in capsys.readouterr().err


def test_a_regression_counts_as_a_gate_in_the_record():
    record = synthetic_record(3)
    for found in record.evaluations:
        if found.node == "n1":
            found.p2p = (8, 9)
    record.outcome.resolved = False
    assert recompute(record).nodes[1].reward.total == 0.0
