"""Verdicts: what they are about, when they are taken over, how rates and comparisons treat what has none."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.benchmarks.dataset import InstanceFilter
from swe_agent.orchestrator.benchmarks.instance import Instance
from swe_agent.orchestrator.benchmarks.rows import instance_of
from swe_agent.orchestrator.benchmarks.sealed import Gold, ProJudge, SealedGold
from swe_agent.orchestrator.grading.evaluate import evaluate
from swe_agent.orchestrator.grading.grader import Grade, GraderOptions
from swe_agent.orchestrator.grading.graders import choose_grader
from swe_agent.orchestrator.grading.predictions import Prediction
from swe_agent.orchestrator.grading.pro import ProGrader
from swe_agent.orchestrator.grading.report import read_verdicts, remove_reports
from swe_agent.orchestrator.grading.statistics import bootstrap_mean, compare_paired, pass_at_k_of, wilson
from swe_agent.orchestrator.grading.table import by_repository
from swe_agent.tools.errors import UsageError

ROW = {
    "repo": "acme/calc",
    "instance_id": "acme__calc-1",
    "base_commit": "a" * 40,
    "patch": "",
    "test_patch": "",
    "problem_statement": "x",
    "FAIL_TO_PASS": [],
    "PASS_TO_PASS": [],
}


def _instance(name: str) -> Instance:
    return Instance(name, "a/b", "0" * 40, "x", SealedGold(name, Gold()))


def test_a_verdict_is_about_an_environment_and_can_be_forced(tmp_path: Path) -> None:
    ran: list[str] = []

    def grader(item: Instance, prediction: Prediction, logs: Path) -> Grade:
        ran.append(item.id)
        return Grade(item.id, "resolved")

    items, answers = [_instance("i")], {"i": Prediction("i", "patch", "m")}
    wanted = [
        ("one", False, 1, False),
        ("one", False, 1, True),
        ("two", False, 2, False),
        ("two", True, 3, False),
    ]
    for name, regrade, runs, taken in wanted:
        report = evaluate(
            items,
            answers,
            grader,
            tmp_path,
            run_id="r",
            environment=lambda _, name=name: name,
            regrade=regrade,
        )
        assert len(ran) == runs
        assert report.to_json()["taken_over_ids"] == (["i"] if taken else [])


def test_what_was_not_judged_is_no_rate(tmp_path: Path) -> None:
    answers = {name: Prediction(name, "patch", "m") for name in "ab"}
    statuses = {"a": "infrastructure", "b": "infrastructure"}

    def grader(item: Instance, prediction: Prediction, logs: Path) -> Grade:
        return Grade(item.id, statuses[item.id])  # type: ignore[arg-type]

    items = [_instance("a"), _instance("b")]
    assert evaluate(items, answers, grader, tmp_path, run_id="r").to_json()["resolved_rate"] is None
    statuses["b"] = "resolved"
    report = evaluate(items, answers, grader, tmp_path, run_id="r")
    assert report.to_json()["resolved_rate"] == 1.0, "one of the one that was judged"
    report.write(tmp_path)
    assert read_verdicts(str(tmp_path)) == {"b": True}
    remove_reports(tmp_path, "r")
    with pytest.raises(UsageError, match="no evaluation report"):
        read_verdicts(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "acme/calc"),
        ({"language": "rust"}, "rust"),
        ({"install_config": {"python": "3.11", "log_parser": "parse_log_cargo"}}, "parse_log_cargo"),
        ({"instance_id": "acme__calc.12345678.func__x", "repo": "swesmith/acme__calc.12345678"}, "SWE-smith"),
    ],
)
def test_what_would_be_judged_wrongly_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], name: str
) -> None:
    options = GraderOptions(tmp_path, tmp_path, tmp_path)
    with pytest.raises(UsageError, match=name):
        choose_grader("native", [instance_of({**ROW, **change})], options, run_id="r", work=tmp_path)


def test_a_mixed_dataset_is_refused(tmp_path: Path) -> None:
    mixed = [instance_of(ROW), instance_of({**ROW, "instance_id": "acme__calc.12345678.f__x"})]
    with pytest.raises(UsageError, match="several ways"):
        choose_grader("native", mixed, GraderOptions(tmp_path), run_id="r", work=tmp_path)


def test_pro_is_judged_by_its_scripts(tmp_path: Path) -> None:
    from swe_agent.orchestrator.benchmarks.contract import difference, make_repository

    repository = tmp_path / "m/acme+calc"
    base = make_repository(repository, {"calc.py": "def mean(x):\n    return 0\n", "test.txt": "old\n"})
    gold = difference(repository, {"calc.py": "def mean(x):\n    return sum(x) / len(x)\n"})
    run = 'echo "$1"; cat test.txt; python3 -c "import calc; print(calc.mean([2, 4]))"\n'
    parser = (
        "import json, sys\nlines = open(sys.argv[1]).read().split()\n"
        'good = lines == ["t1,t2", "new", "3.0"]\n'
        'tests = [{"name": "t1", "status": "PASSED" if good else "FAILED"}, {"name": "t2", "status": "PASSED"}]\n'
        'json.dump({"tests": tests}, open(sys.argv[3], "w"))\n'
    )
    judge = ProJudge("git reset --hard\necho new > test.txt", ("t1", "t2"))
    sealed = SealedGold("pro-1", Gold(fail_to_pass=("t1",), pass_to_pass=("t2",), pro=judge))
    item = Instance("pro-1", "acme/calc", base, "x", sealed, image="x:1", judge="pro")
    options = GraderOptions(tmp_path / "m", None, tmp_path / "s", "namespace", timeout_s=60)
    with pytest.raises(UsageError, match=r"run_script\.sh and parser\.py"):
        ProGrader(options, [item], [tmp_path])
    for name, text in (("run_script.sh", run), ("parser.py", parser)):
        (tmp_path / "run_scripts/pro-1").mkdir(parents=True, exist_ok=True)
        (tmp_path / "run_scripts/pro-1" / name).write_text(text)
    grader = ProGrader(options, [item], [tmp_path / "run_scripts"])
    found = {
        name: grader(item, Prediction("pro-1", patch, "m", probe=not patch), tmp_path / "l" / name)
        for name, patch in (("gold", gold), ("nothing", ""), ("bad", "no diff"))
    }
    statuses = {name: grade.status for name, grade in found.items()}
    assert statuses == {"gold": "resolved", "nothing": "unresolved", "bad": "patch_failed"}, found
    assert found["nothing"].verdict is not None
    assert found["nothing"].verdict.pass_to_pass == {"t2": True}


@given(st.integers(1, 200), st.data())
@settings(deadline=None)
def test_wilson_holds_the_rate_and_stays_in_0_1(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    found = wilson(k, n)
    assert found is not None
    low, high = found
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1
    assert high - low > 0, "no rate of finitely many instances is certain"


def test_pass_at_k_with_interval() -> None:
    found = pass_at_k_of([[True, False], [False, False], [True, True], [True]], 2)
    assert (found.estimate, found.instances) == (pytest.approx(2 / 3), 3)
    assert found.interval is not None
    assert 0 <= found.interval[0] <= 2 / 3 <= found.interval[1] <= 1
    assert pass_at_k_of([[True]], 2).estimate is None
    assert pass_at_k_of([[True]], 1).interval is None


def test_the_intervals_hold_what_they_promise() -> None:
    """Of 95 % intervals over 200 draws from a known rate, between 90 % and 99 % hold it."""
    draw, held = random.Random(1), 0
    for seed in range(200):
        sample = [float(draw.random() < 0.4) for _ in range(100)]
        interval = bootstrap_mean(sample, resamples=400, seed=seed)
        assert interval is not None
        held += interval[0] <= 0.4 <= interval[1]
    assert 180 <= held <= 198, held


def test_paired_bootstrap_and_mcnemar_agree() -> None:
    a = {f"i{n}": n < 30 for n in range(100)}
    b = {f"i{n}": n < 55 for n in range(100)}
    better, same = compare_paired(a, b), compare_paired(a, a)
    assert better.interval is not None
    assert better.interval[0] > 0
    assert better.p_value < 0.001
    assert (same.interval, same.p_value, same.difference) == ((0.0, 0.0), 1.0, 0.0)
    assert json.dumps(better.to_json())


def test_a_sample_is_spread_over_versions_and_shown_by_repository() -> None:
    rows = [{**ROW, "instance_id": f"acme__calc-{n}", "version": f"1.{n}"} for n in range(11)]
    rows.append({**ROW, "repo": "a/b", "instance_id": "a__b-1", "version": "2"})
    instances = [instance_of(row) for row in rows]
    taken = InstanceFilter(sample=3).take(list(reversed(instances)))
    assert sorted(item.id for item in taken) == ["a__b-1", "acme__calc-0", "acme__calc-10", "acme__calc-5"]
    grades = {
        "acme__calc-0": Grade("acme__calc-0", "resolved", seconds={"build": 2.0, "tests": 1.0}),
        "acme__calc-5": Grade("acme__calc-5", "infrastructure", "no pip | no wheel"),
        "a__b-1": Grade(
            "a__b-1",
            "unresolved",
            "0 of 1",
            seconds={"environment": 0.1, "build": 9.0, "tests": 1.0},
            cached=True,
        ),
    }
    lines = by_repository(taken, [grades]).splitlines()
    assert lines[2] == "| a/b | 1 | 1 | 0 | 9.0 | 1.0 | a__b-1: 0 of 1 |"
    assert lines[3] == "| acme/calc | 2 | 1 | 1 | 2.0 | 1.0 | acme__calc-5: no pip \\| no wheel |"
