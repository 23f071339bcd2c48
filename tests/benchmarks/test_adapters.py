"""Every benchmark adapter on tasks made here: the known solution passes, nothing and a wrong one do not."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swe_agent.orchestrator.benchmarks.contract import difference
from swe_agent.orchestrator.benchmarks.registry import BENCHMARKS, benchmark_named
from swe_agent.orchestrator.grading.command_grader import command_grader
from swe_agent.orchestrator.grading.grader import GraderOptions
from swe_agent.orchestrator.grading.predictions import Prediction, load_predictions
from swe_agent.tools.errors import UsageError

HEAD = 'def double(x):\n    """Twice x."""\n'
CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 10\n"
PRIVATE = [{"input": "3", "output": "6", "testtype": "functional"}]

ROWS: dict[str, dict[str, Any]] = {
    "humaneval": {"task_id": "HumanEval/0", "prompt": HEAD, "entry_point": "double", "canonical_solution": "    return 2 * x\n",
                  "test": CHECK},
    "humanevalfix": {"task_id": "Python/0", "prompt": HEAD, "declaration": "def double(x):\n", "entry_point": "double",
                     "canonical_solution": "    return 2 * x\n", "buggy_solution": "    return 3 * x\n",
                     "test": f"{CHECK}\ncheck(double)"},
    "mbpp": {"task_id": 11, "text": "Write a function double.", "code": "def double(x):\n    return 2 * x",
             "test_list": ["assert double(2) == 4", "assert double(5) == 10"], "test_setup_code": ""},
    "bigcodebench": {"task_id": "BigCodeBench/0", "complete_prompt": HEAD, "instruct_prompt": "Write double.",
                     "entry_point": "double", "canonical_solution": "    return 2 * x\n",
                     "test": "import unittest\nclass TestCases(unittest.TestCase):\n    def test_a(self):\n"
                             "        self.assertEqual(double(2), 4)\n        self.assertEqual(double(5), 10)\n"},
    "naturalcodebench": {"_id": 1, "prompt": "Write double.", "reference_solution": "def double(x):\n    return 2 * x\n",
                         "testcases": "def test_double():\n    assert double(2) == 4\n    assert double(5) == 10\n"},
    "livecodebench": {"question_id": "abc1", "question_title": "Double", "question_content": "Read x, return 2x.",
                      "starter_code": "class Solution:\n    def double(self, x):\n        pass\n",
                      "solution": "class Solution:\n    def double(self, x):\n        return 2 * x\n",
                      "public_test_cases": json.dumps([{"input": "2", "output": "4", "testtype": "functional"}]),
                      "private_test_cases": base64.b64encode(zlib.compress(json.dumps(PRIVATE).encode())).decode(),
                      "metadata": json.dumps({"func_name": "double"})},
}  # fmt: skip


def _agent(home: Path) -> None:
    (home / "env").mkdir(parents=True)
    (home / "scripts").mkdir()
    (home / "solution").mkdir()
    (home / "env/train.py").write_text("print('train')\n")
    (home / "scripts/research_problem.txt").write_text("Improve the model.\n")
    (home / "scripts/eval.py").write_text(
        "def get_score(folder):\n    return float(open(folder + '/result.txt').read())\n"
    )
    (home / "solution/result.txt").write_text("0.9\n")


DIRECTORIES: dict[str, Callable[[Path], None]] = {
    "mlagentbench": _agent,
}


NAMES = sorted(set(BENCHMARKS) - {"mle-bench", "harbor"})  # tested in files of their own


def make(name: str, tmp_path: Path) -> Path:
    if name in ROWS:
        path = tmp_path / "data.jsonl"
        path.write_text(json.dumps(ROWS[name]) + "\n")
        return path
    DIRECTORIES[name](tmp_path / "tasks" / "one")
    return tmp_path / "tasks"


@pytest.mark.parametrize("name", NAMES)
def test_the_known_solution_passes_and_nothing_does_not(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path)
    mirrors = tmp_path / "mirrors"
    instances = benchmark_named(name).instances(path, mirrors)
    assert len(instances) == 1
    (instance,) = instances
    assert instance.problem_statement
    grade = command_grader(GraderOptions(mirrors, None, tmp_path / "scratch", "auto", timeout_s=60))
    for source, expected in (("gold", "resolved"), ("empty", "unresolved")):
        prediction = load_predictions(source, instances)[instance.id]
        found = grade(instance, prediction, tmp_path / "logs" / source)
        assert found.status == expected, (found, (tmp_path / "logs" / source / "test_output.txt").read_text())
    repository = mirrors / instance.repo.replace("/", "+")
    wrong = difference(
        repository,
        {"solution.py": "def double(x):\n    return 7\n", "result.txt": "x\n", "hello.txt": "no\n"},
    )
    assert (
        grade(instance, Prediction(instance.id, wrong, "m"), tmp_path / "logs/wrong").status == "unresolved"
    )
    assert (
        grade(instance, Prediction(instance.id, "not a diff\n", "m"), tmp_path / "logs/bad").status
        == "patch_failed"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_repository_holds_nothing_of_the_judge(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path)
    (instance,) = benchmark_named(name).instances(path, tmp_path / "mirrors")
    seen = "".join(
        file.read_text(errors="replace")
        for file in (tmp_path / "mirrors").rglob("*")
        if file.is_file() and ".git" not in file.parts
    )
    for secret in (
        "candidate(5)",
        "(5) == 10",
        "double(5), 10",
        "1,3",
        "get_score",
        "reward.txt",
        "return 2 * x",
    ):
        assert secret not in seen
    again = benchmark_named(name).instances(path, tmp_path / "elsewhere")
    assert again[0].base_commit == instance.base_commit


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="humaneval"):
        benchmark_named("nothing")
    (tmp_path / "bad.jsonl").write_text('{"task_id": "x"}\n')
    with pytest.raises(UsageError, match="row 1"):
        benchmark_named("humaneval").instances(tmp_path / "bad.jsonl", tmp_path / "m")
    with pytest.raises(UsageError, match=r"task\.toml"):
        benchmark_named("harbor").instances(tmp_path, tmp_path / "m")


def test_pickled_cases_are_refused(tmp_path: Path) -> None:
    import pickle

    row = {
        **ROWS["livecodebench"],
        "private_test_cases": base64.b64encode(zlib.compress(pickle.dumps("[]"))).decode(),
    }
    (tmp_path / "d.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UsageError, match="pickled"):
        benchmark_named("livecodebench").instances(tmp_path / "d.jsonl", tmp_path / "m")


def test_the_docs_say_what_the_adapters_do() -> None:
    from swe_agent.orchestrator.benchmarks.conformance import TABLE, markdown

    docs = (Path(__file__).parents[2] / "docs/evaluation.md").read_text("utf-8")
    assert markdown() in docs, "put conformance.markdown() into docs/evaluation.md"
    named = "".join(row.benchmark.lower().replace("-", "") for row in TABLE)
    for name in BENCHMARKS:
        assert name.replace("-", "") in named, name
