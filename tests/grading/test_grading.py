"""Log parsers, grading rules, statistics, reports, predictions."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.orchestrator.benchmarks.instance import Instance
from swe_agent.orchestrator.benchmarks.markers import END, EXIT_CODE, START
from swe_agent.orchestrator.benchmarks.sealed import Gold, SealedGold
from swe_agent.orchestrator.grading.evaluate import evaluate
from swe_agent.orchestrator.grading.grader import Grade
from swe_agent.orchestrator.grading.grading import grade_log
from swe_agent.orchestrator.grading.logs import PARSERS, parser_named
from swe_agent.orchestrator.grading.predictions import Prediction, parse_predictions
from swe_agent.orchestrator.grading.report import read_verdicts
from swe_agent.orchestrator.grading.script import directives, new_files, plan_tests, source_files
from swe_agent.orchestrator.grading.spec import EnvironmentSpec, spec_for, version_note
from swe_agent.orchestrator.grading.statistics import compare_paired, mean_of, pass_at_k
from swe_agent.tools.errors import ProjectError, UsageError

PYTEST = PARSERS["pytest"]


def log(body: str, code: int | None = None, *, before: str = "") -> str:
    tail = f"\n{EXIT_CODE}: {code}\n" if code is not None else ""
    return f"{before}\n+ : '{START}'\n{body}\n+ : '{END}'{tail}"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pytest", "PASSED t.py::a\nFAILED t.py::b - assert 1 == 2\nERROR t.py::c - boom\nXFAIL t.py::d - why\n",
         {"t.py::a": "PASSED", "t.py::b": "FAILED", "t.py::c": "ERROR", "t.py::d": "XFAIL"}),
        ("pytest", "SKIPPED [2] t.py:3: no network\nPASSED\nPASSED t.py::p[a b]\n", {"t.py::p[a": "PASSED"}),
        ("pytest-options", "PASSED t.py::a[/tmp/x/deep.txt]\nPASSED t.py::b[//net]\n",
         {"t.py::a[/deep.txt]": "PASSED", "t.py::b[//net]": "PASSED"}),
        ("pytest-columns", "\x1b[32mPASSED\x1b[0m t.py::\x1b[1mtest_a\x1b[0m\nt.py::b FAILED\n",
         {"t.py::test_a": "PASSED", "t.py::b": "FAILED"}),
        ("pytest-columns", "PASSED t.py::p[a b]\n", {"t.py::p[a b]": "PASSED", "t.py::p[a": "PASSED"}),
        ("seaborn", "FAILED t.py::a - x\nt.py::b PASSED [ 3%]\nPASSED t.py::c\nERROR t.py::d\n",
         {"t.py::a": "FAILED", "t.py::b": "PASSED", "t.py::c": "PASSED"}),
        ("matplotlib", "PASSED t.py::a[MouseButton.LEFT]\n", {"t.py::a[1]": "PASSED"}),
        ("sympy", "test_a ok\ntest_b F\ntest_c E\ntest_d f\n____ sympy/core/tests/test_x.py:test_b ____\n",
         {"test_a": "PASSED", "test_b": "FAILED", "test_c": "ERROR", "sympy/core/tests/test_x.py:test_b": "FAILED"}),
        ("sympy", "sympy/core/tests/test_x.py::test_a PASSED        [ 66%]\nsympy/core/tests/test_x.py::test_b FAILED [100%]\n",
         {"sympy/core/tests/test_x.py::test_a": "PASSED", "test_a": "PASSED",
          "sympy/core/tests/test_x.py::test_b": "FAILED", "test_b": "FAILED"}),
        ("django", "test_a (m.C) ... ok\ntest_b (m.C) ... FAIL\ntest_c (m.C) ... skipped 'no'\ntest_d (m.C) ... ERROR\n"
                   "test_e (m.C) ... some output\nok\nERROR: test_f (m.C)\n",
         {"test_a (m.C)": "PASSED", "test_b (m.C)": "FAILED", "test_c (m.C)": "SKIPPED", "test_d (m.C)": "ERROR",
          "test_e (m.C)": "PASSED", "test_f": "ERROR"}),
    ],
)  # fmt: skip
def test_parsers(name: str, text: str, expected: dict[str, str]) -> None:
    assert PARSERS[name](text) == expected


@pytest.mark.parametrize(
    "name", ["parse_log_pytest_v2", "parse_log_astropy", "parse_log_django", "pytest-options", "sympy"]
)
def test_parsers_are_found_by_the_names_that_rows_use(name: str) -> None:
    assert parser_named(name) is not None
    assert parser_named("parse_log_cobol") is None


@given(st.text(max_size=400), st.sampled_from(sorted(PARSERS)))
def test_parsers_take_any_text(text: str, name: str) -> None:
    assert set(PARSERS[name](text).values()) <= {"PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL"}


@pytest.mark.parametrize(
    ("body", "code", "resolved"),
    [
        ("PASSED a\nPASSED b", 0, True),
        ("XFAIL a\nPASSED b", 0, True),
        ("PASSED a\nSKIPPED b", 0, True),
        ("SKIPPED a\nPASSED b", 0, False),
        ("PASSED a", 0, False),
        ("PASSED a\nFAILED b", 1, False),
        ("PASSED a\nPASSED b\nFAILED other", 1, True),
        ("PASSED a\nPASSED b", 1, False),
        ("PASSED a\nPASSED b", None, True),
        ("", 0, False),
    ],
)
def test_rules(body: str, code: int | None, resolved: bool) -> None:
    assert grade_log(log(body, code), PYTEST, ["a"], ["b"]).resolved is resolved


def test_a_run_without_markers_or_with_a_failed_patch_is_rejected() -> None:
    assert grade_log("PASSED a\nPASSED b", PYTEST, ["a"], ["b"]).rejected
    spoiled = log("PASSED a\nPASSED b", 0, before=">>>>> Patch Apply Failed")
    assert grade_log(spoiled, PYTEST, ["a"], ["b"]).rejected == "patch apply failed"


def test_results_printed_before_the_tests_do_not_count() -> None:
    verdict = grade_log(log("FAILED a\nPASSED b", 1, before="PASSED a"), PYTEST, ["a"], ["b"])
    assert not verdict.resolved


def test_cut_parametrised_ids_match_by_prefix_when_they_agree() -> None:
    body = "PASSED t::x[log(photon m)]\nPASSED t::x[log(photon s)]"
    columns = PARSERS["pytest-columns"]
    assert grade_log(log(body, 0), columns, ["t::x[log(photon"], []).resolved
    parsed = {"t::x[log(photon m)]": "PASSED", "t::x[log(photon s)]": "FAILED"}
    assert not grade_log(log("ignored", 0), lambda text: parsed, ["t::x[log(photon"], []).resolved
    assert not grade_log(log("PASSED t::xy", 0), PYTEST, ["t::x"], []).resolved


def test_fail_only_counts_an_absent_test_as_passed() -> None:
    assert grade_log(log("PASSED other", 0), PYTEST, ["a"], [], fail_only=True).resolved
    assert not grade_log(log("FAILED a", 1), PYTEST, ["a"], [], fail_only=True).resolved


PATCH = (
    "diff --git a/tests/test_a.py b/tests/test_a.py\n--- a/tests/test_a.py\n+++ b/tests/test_a.py\n@@ -1 +1 @@\n-a\n+b\n"
    "diff --git a/tests/data.json b/tests/data.json\nnew file mode 100644\n--- /dev/null\n+++ b/tests/data.json\n@@ -0,0 +1 @@\n+{}\n"
)


def test_files_of_a_test_patch() -> None:
    assert source_files(PATCH) == ["tests/test_a.py"]
    assert new_files(PATCH) == ["tests/data.json"]
    assert directives("acme/calc", PATCH) == ["tests/test_a.py"]
    assert directives("django/django", PATCH.replace("test_a.py", "app/test_a.py")) == ["app.test_a"]


def test_plans_of_both_generations() -> None:
    spec = EnvironmentSpec("3.9", "tox --current-env -epy39 -v --", "pytest-columns")
    assert plan_tests("acme/calc", spec, Gold(test_patch=PATCH), "3.10.2").command == (
        "tox --current-env -epy310 -v -- tests/test_a.py"
    )
    script = (
        "#!/bin/bash\nset -uxo pipefail\nsource /opt/miniconda3/bin/activate\nconda activate testbed\ncd /testbed\n"
        f"export MODE=1\ngit checkout abc tests/test_a.py\n: '{START}'\npytest -rA tests/test_a.py\n: '{END}'\ngit checkout abc\n"
    )
    plan = plan_tests("acme/calc", spec, Gold(eval_script=script), "3.9.1")
    assert plan.command == "pytest -rA tests/test_a.py"
    assert plan.env == {"MODE": "1"}


def instance(repo: str, version: str | None) -> Instance:
    return Instance("i", repo, "0" * 40, "x", SealedGold.poisoned("i"), version=version)


def test_specifications_are_found_by_version_or_by_the_nearest_older_one() -> None:
    assert spec_for(instance("pallets/flask", "2.3")).python == "3.11"
    assert spec_for(instance("django/django", "3.1")).python == "3.6"
    assert version_note(instance("pallets/flask", "2.3")) is None
    assert "2.11" in (version_note(instance("pylint-dev/pylint", "2.12")) or "")
    with pytest.raises(ProjectError, match="acme/calc"):
        spec_for(instance("acme/calc", "1"))


@given(st.integers(1, 40), st.data())
def test_pass_at_k(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    value = pass_at_k(n, c, k)
    assert 0 <= value <= 1
    assert pass_at_k(n, c, 1) == pytest.approx(c / n)
    if k < n:
        assert pass_at_k(n, c, k + 1) >= value
    assert (value == 0) == (c == 0)


def test_mean_and_error() -> None:
    assert mean_of([0.5]).standard_error is None
    found = mean_of([0.2, 0.4, 0.6])
    assert found.mean == pytest.approx(0.4)
    assert found.standard_error == pytest.approx(0.2 / math.sqrt(3))


def test_exact_mcnemar() -> None:
    a = {f"i{n}": n < 8 for n in range(20)}
    b = {f"i{n}": 7 <= n < 9 for n in range(20)}
    paired = compare_paired(a, b)
    assert (paired.both, len(paired.only_a), len(paired.only_b), paired.neither) == (1, 7, 1, 11)
    assert paired.p_value == pytest.approx(2 * (1 + 8) / 2**8)
    assert compare_paired(a, a).p_value == 1.0


def test_predictions_in_every_form() -> None:
    rows = [
        {"instance_id": "a", "model_name_or_path": "m", "model_patch": "p\u2028\x85q"},
        {"instance_id": "b", "model_patch": None},
    ]
    forms = [
        json.dumps(rows),
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        json.dumps({row["instance_id"]: row for row in rows}),
    ]
    for text in forms:
        found = parse_predictions(text, "x")
        assert [(item.instance_id, item.patch, item.is_empty) for item in found] == [
            ("a", "p\u2028\x85q", False),
            ("b", "", True),
        ]
    for bad in (
        "",
        "[]",
        "[1]",
        '[{"model_patch": ""}]',
        json.dumps([rows[0], rows[0]]),
        "{",
        '[{"instance_id": "a", "model_patch": 3}]',
    ):
        with pytest.raises(UsageError):
            parse_predictions(bad, "x")


def test_evaluate_resumes_by_patch_and_flags_flaky_instances(tmp_path: Path) -> None:
    seen: list[str] = []

    def grader(item: Instance, prediction: Prediction, logs: Path) -> Grade:
        seen.append(item.id)
        if item.id == "flaky":
            return Grade(item.id, "resolved" if seen.count("flaky") % 2 else "unresolved")
        return Grade(item.id, "infrastructure" if item.id == "infra" else "resolved", "why")

    instances = [
        Instance(name, "a/b", "0" * 40, "x", SealedGold(name, Gold()))
        for name in ("ok", "infra", "flaky", "none")
    ]
    predictions = {name: Prediction(name, "patch", "m/x") for name in ("ok", "infra", "flaky")}
    report = evaluate(instances, predictions, grader, tmp_path, run_id="r", workers=2, repeats=2)
    data = report.to_json()
    assert data["flaky_ids"] == ["flaky"]
    assert data["infra_failure_ids"] == data["error_ids"] == ["infra"]
    assert data["incomplete_ids"] == ["none"]
    path = report.write(tmp_path)
    assert path.name == "m__x.r.json"
    assert json.loads(path.read_text())["schema_version"] == 2
    assert "infra" not in read_verdicts(str(path))
    seen.clear()
    evaluate(instances, predictions, grader, tmp_path, run_id="r")
    assert seen == ["infra"]
    seen.clear()
    evaluate(instances, {"ok": Prediction("ok", "another patch", "m/x")}, grader, tmp_path, run_id="r")
    assert seen == ["ok"]
    seen.clear()
    stricter = [replace(i, evaluation=SealedGold(i.id, Gold(fail_to_pass=("t",)))) for i in instances]
    evaluate(stricter, {"ok": Prediction("ok", "another patch", "m/x")}, grader, tmp_path, run_id="r")
    assert seen == ["ok"]


def test_an_interrupt_waits_for_no_test_run_and_keeps_the_verdicts(tmp_path: Path) -> None:
    chosen = [Instance(f"i{n}", "a/b", "0" * 40, "x", SealedGold(f"i{n}", Gold())) for n in range(2)]
    answers = {item.id: Prediction(item.id, "patch", "m") for item in chosen}
    end = threading.Event()

    def judge(instance: Instance, prediction: Prediction, logs: Path) -> Grade:
        if instance.id == "i1":
            end.wait(60)
        return Grade(instance.id, "resolved")

    def interrupted(grade: Grade) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(chosen, answers, judge, tmp_path, run_id="r", workers=2, on_grade=interrupted)
    assert not end.is_set()
    assert (tmp_path / "instances/i0/report.json").exists()
    assert not (tmp_path / "instances/i1/report.json").exists()
    end.set()
