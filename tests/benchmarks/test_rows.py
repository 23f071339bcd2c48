"""Rows of every dialect, dataset files, and selection."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_agent.orchestrator.batch.job import instance_from_json, instance_to_json
from swe_agent.orchestrator.benchmarks.dataset import InstanceFilter, ids_of, load_instances
from swe_agent.orchestrator.benchmarks.rows import instance_of, reverse_diff
from swe_agent.orchestrator.benchmarks.sealed import SealedError, SealedGold, grading
from swe_agent.tools.errors import UsageError

ROW: dict[str, Any] = {
    "repo": "acme/calc",
    "instance_id": "acme__calc-1",
    "base_commit": "a" * 40,
    "patch": "diff --git a/calc.py b/calc.py\n",
    "test_patch": "diff --git a/tests/test_calc.py b/tests/test_calc.py\n",
    "problem_statement": "mean is wrong\n\nmean([2, 4]) should be 3",
    "hints_text": "look at calc.py",
    "created_at": "2024-01-01T00:00:00Z",
    "version": "1.0",
    "FAIL_TO_PASS": '["tests/test_calc.py::test_mean"]',
    "PASS_TO_PASS": "[]",
    "environment_setup_commit": "b" * 40,
}


def test_first_generation() -> None:
    found = instance_of(ROW)
    assert (found.id, found.repo, found.base_commit, found.version) == (
        "acme__calc-1",
        "acme/calc",
        "a" * 40,
        "1.0",
    )
    assert found.image == "swebench/sweb.eval.x86_64.acme_1776_calc-1:latest"
    with grading():
        gold = found.evaluation.open()
    assert gold.fail_to_pass == ("tests/test_calc.py::test_mean",)
    assert gold.pass_to_pass == ()
    issue = found.issue()
    assert (issue.title, issue.body, issue.hints) == ("mean is wrong", "mean([2, 4]) should be 3", "")
    assert found.issue(hints=True).hints == "look at calc.py"


def test_second_generation() -> None:
    row = {
        **ROW,
        "FAIL_TO_PASS": ["a"],
        "PASS_TO_PASS": ["b"],
        "image": "registry.example/x:1",
        "eval_type": "fail_only",
        "eval_script": "#!/bin/bash\n",
        "log_parser": "parse_log_pytest_v2",
    }
    found = instance_of(row)
    assert found.image == "registry.example/x:1"
    with grading():
        gold = found.evaluation.open()
    assert (gold.fail_to_pass, gold.log_parser, gold.fail_only) == (("a",), "parse_log_pytest_v2", True)


def test_gym_smith_and_rebench_rows() -> None:
    gym = instance_of(
        {key: value for key, value in ROW.items() if key != "environment_setup_commit"},
        benchmark="swe-gym/train",
    )
    assert gym.image == "xingyaoww/sweb.eval.x86_64.acme_s_calc-1:latest"
    bug = "diff --git a/c.py b/c.py\nindex 1..2 100644\n--- a/c.py\n+++ b/c.py\n@@ -1,2 +1,2 @@\n same\n-good\n+bad\n"
    smith = instance_of(
        {
            "instance_id": "acme__calc.12345678.func_pm__abc",
            "repo": "swesmith/acme__calc.12345678",
            "problem_statement": "x",
            "patch": bug,
            "image_name": "owner/swesmith.x86_64.acme",
            "FAIL_TO_PASS": ["t"],
            "PASS_TO_PASS": [],
        }
    )
    assert smith.image == "owner/swesmith.x86_64.acme:latest"
    assert smith.base_commit == ""
    with grading():
        assert "-bad\n" in smith.evaluation.open().patch
    rebench = instance_of(
        {
            **ROW,
            "docker_image": "owner/rebench.acme",
            "requirements": "pytest==8.0.0\n",
            "install_config": json.dumps(
                {"python": "3.11", "test_cmd": "pytest -rA", "log_parser": "parse_log_pytest"}
            ),
        }
    )
    assert rebench.image == "owner/rebench.acme:latest"
    assert rebench.recipe["freeze"] == "pytest==8.0.0\n"


def test_reversed_diff_undoes_the_diff(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "kept.py").write_text("one\ntwo\nthree\n")
    (tmp_path / "gone.py").write_text("bye\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    (tmp_path / "kept.py").write_text("one\n2\nthree\nfour\n")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "new.py").write_text("-- hello\n++ there\n")
    subprocess.run([*git, "add", "-A"], check=True)
    diff = subprocess.run([*git, "diff", "--cached"], capture_output=True, text=True, check=True).stdout
    subprocess.run([*git, "apply", "-"], input=reverse_diff(diff), text=True, check=True)
    assert (tmp_path / "kept.py").read_text() == "one\ntwo\nthree\n"
    assert (tmp_path / "gone.py").read_text() == "bye\n"
    assert not (tmp_path / "new.py").exists()


@pytest.mark.parametrize("column", ["instance_id", "problem_statement", "base_commit"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(UsageError, match=column):
        instance_of({key: value for key, value in ROW.items() if key != column})


@pytest.mark.parametrize("name", ["../../etc", "a/b", ".hidden", "a b", ""])
def test_an_id_that_is_a_path_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        instance_of({**ROW, "instance_id": name})


@pytest.mark.parametrize("tests", ['{"a": 1}', "[1]", "not json"])
def test_malformed_tests_are_refused(tests: str) -> None:
    with pytest.raises(UsageError, match="FAIL_TO_PASS"):
        instance_of({**ROW, "FAIL_TO_PASS": tests})


def test_gold_is_sealed() -> None:
    sealed = instance_of(ROW).evaluation
    with pytest.raises(SealedError, match="outside the grader"):
        sealed.open()
    with pytest.raises(SealedError):
        pickle.dumps(sealed)
    assert "test_mean" not in repr(instance_of(ROW))
    with grading(), pytest.raises(SealedError, match="poisoned"):
        SealedGold.poisoned("x").open()


def test_a_job_carries_no_gold() -> None:
    data = json.dumps(instance_to_json(instance_of(ROW)))
    for secret in ("test_mean", "tests/test_calc.py", "diff --git"):
        assert secret not in data
    back = instance_from_json(json.loads(data))
    assert back == instance_of(ROW)
    with grading(), pytest.raises(SealedError):
        back.evaluation.open()


def rows(count: int) -> list[dict[str, Any]]:
    return [{**ROW, "instance_id": f"acme__calc-{n}"} for n in range(count)]


@pytest.mark.parametrize("form", ["list", "lines", "object"])
def test_files(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("d.jsonl" if form == "lines" else "d.json")
    data = [{**row, "hints_text": "a\u2028b\x85c"} for row in rows(3)]
    text = {
        "list": json.dumps(data),
        "lines": "\n".join(json.dumps(row, ensure_ascii=False) for row in data),
        "object": json.dumps({row["instance_id"]: row for row in data}, indent=1),
    }[form]
    path.write_text(text)
    assert [item.id for item in load_instances(str(path))] == [row["instance_id"] for row in data]


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra export) is not installed")
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist(rows(2)), tmp_path / "d.parquet")
    assert len(load_instances(str(tmp_path / "d.parquet"))) == 2


@pytest.mark.parametrize(
    ("name", "words"), [("nothing-like-this", "no dataset"), ("gone.jsonl", "no dataset file")]
)
def test_a_dataset_that_is_not_there(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_instances(name)


def test_a_damaged_file_and_a_double_id(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"instance_id": 1}\n{oops')
    with pytest.raises(UsageError, match="line 2 is neither JSON"):
        load_instances(str(tmp_path / "bad.jsonl"))
    (tmp_path / "twice.json").write_text(json.dumps([ROW, ROW]))
    with pytest.raises(UsageError, match="twice"):
        load_instances(str(tmp_path / "twice.json"))


@given(st.integers(0, 30), st.integers(-12, 12), st.integers(-12, 12), st.integers(0, 5))
def test_selection_is_a_slice_of_a_shuffle(count: int, start: int, stop: int, seed: int) -> None:
    instances = [instance_of(row) for row in rows(count)]
    taken = InstanceFilter(shuffle=True, seed=seed, window=f"{start}:{stop}").take(instances)
    everything = InstanceFilter(shuffle=True, seed=seed).take(list(reversed(instances)))
    assert taken == everything[start:stop]
    assert sorted(item.id for item in everything) == sorted(item.id for item in instances)


def test_selection_by_id_and_pattern() -> None:
    instances = [instance_of(row) for row in rows(12)]
    assert [item.id for item in InstanceFilter(ids=("acme__calc-3", "acme__calc-1")).take(instances)] == [
        "acme__calc-3",
        "acme__calc-1",
    ]
    assert len(InstanceFilter(pattern=r"-1\d$").take(instances)) == 2
    for bad in (
        InstanceFilter(ids=("nope",)),
        InstanceFilter(pattern="("),
        InstanceFilter(window="a:b"),
        InstanceFilter(window="::0"),
    ):
        with pytest.raises(UsageError):
            bad.take(instances)


def test_ids_from_text_and_file(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("a\nb, c\n")
    assert ids_of([f"@{tmp_path / 'ids'}", "d,e"]) == ("a", "b", "c", "d", "e")


PRO: dict[str, Any] = {
    "repo": "acme/calc",
    "instance_id": "instance_acme__calc-04998908ba6721d64eba79ae3b65a351dcfbc5b5-vnan",
    "base_commit": "a" * 40,
    "patch": "diff --git a/calc.py b/calc.py\n",
    "test_patch": "",
    "problem_statement": "mean is wrong",
    "requirements": "mean returns a float",
    "interface": "",
    "repo_language": "js",
    "fail_to_pass": "['test/a.js | it\\'s \"odd\"', 'b']",
    "pass_to_pass": "[]",
    "before_repo_set_cmd": "git reset --hard aaa\ngit checkout fff -- test/a.js",
    "selected_test_files_to_run": '["test/a.js"]',
    "dockerhub_tag": "acme.calc-acme__calc-04",
}


def test_pro_rows() -> None:
    found = instance_of(PRO)
    assert found.image == "jefzda/sweap-images:acme.calc-acme__calc-04"
    assert (found.judge, found.language) == ("pro", "js")
    assert found.problem_statement == "mean is wrong\n\nRequirements:\nmean returns a float"
    with grading():
        gold = found.evaluation.open()
    assert gold.fail_to_pass == ('test/a.js | it\'s "odd"', "b")
    assert gold.pro is not None
    assert gold.pro.tests == ("test/a.js",)
    assert "fff" not in json.dumps(instance_to_json(found)), "the commit of the fix is gold"
    for column in ("fail_to_pass", "before_repo_set_cmd", "selected_test_files_to_run"):
        with pytest.raises(UsageError, match=column):
            instance_of({**PRO, column: ""})
    with pytest.raises(UsageError, match="neither a JSON list nor a Python list"):
        instance_of({**PRO, "fail_to_pass": "__import__('os')"})


def test_rebench_v2_rows() -> None:
    recipe = {
        "base_image_name": "python_base",
        "install": ["pip install -e .[dev]", "pip install pytest"],
        "test_cmd": ["pytest -rA"],
        "log_parser": "parse_log_pytest",
    }
    found = instance_of(
        {
            **ROW,
            "image_name": "owner/v2.acme",
            "install_config": recipe,
            "language": "python",
            "created_at": 1704067200000,
        }
    )
    assert found.image == "owner/v2.acme:latest"
    assert found.created_at == "2024-01-01T00:00:00+00:00"
    assert (found.recipe["install"], found.recipe["test_cmd"]) == (
        "pip install -e .[dev] && pip install pytest",
        "pytest -rA",
    )


@pytest.mark.parametrize("line", ["rename from a.py", "GIT binary patch", "Binary files a/x and b/x differ"])
def test_a_bug_that_cannot_be_taken_back_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="cannot be taken back"):
        reverse_diff(f"diff --git a/x b/x\n{line}\n")
