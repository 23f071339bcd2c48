"""MLE-bench: refused without its package; with it, its registry, its grader and its medals decide."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from swe_agent.orchestrator.benchmarks.contract import difference
from swe_agent.orchestrator.benchmarks.registry import benchmark_named
from swe_agent.orchestrator.grading.command_grader import command_grader
from swe_agent.orchestrator.grading.grader import GraderOptions
from swe_agent.orchestrator.grading.predictions import Prediction, load_predictions
from swe_agent.tools.errors import UsageError

# the part of the package's interface that is used; scores are errors, so lower is better
PACKAGE = {
    "__init__.py": "",
    "registry.py": """
import pathlib
from dataclasses import dataclass

@dataclass
class Competition:
    id: str
    answers: pathlib.Path

class Registry:
    def __init__(self, data=None):
        self.data = data
    def set_data_dir(self, data):
        return Registry(data)
    def get_competition(self, name):
        return Competition(name, self.data / name / "prepared/private/answers.csv")

registry = Registry()
""",
    "grade.py": """
from importlib import import_module

class Report:
    def __init__(self, **fields):
        self.fields = fields
    def to_dict(self):
        return self.fields

def grade_csv(path, competition):
    exists = path.is_file()
    score = None
    if exists:
        score = import_module(f"mlebench.competitions.{competition.id}.grade").grade(path, competition.answers)
    return Report(score=score, submission_exists=exists, valid_submission=score is not None, is_lower_better=True,
                  gold_medal=score is not None and score <= 0.1, silver_medal=False, bronze_medal=False,
                  any_medal=score is not None and score <= 0.1, above_median=score is not None and score < 0.5)
""",
    "competitions/__init__.py": "",
    "competitions/sums/__init__.py": "",
    "competitions/sums/classes.py": "def value(line):\n    return float(line.split(',')[1])\n",
    "competitions/sums/grade.py": """
from .classes import value
from mlebench import registry

def grade(submission, answers):
    pairs = zip(submission.read_text().splitlines()[1:], answers.read_text().splitlines()[1:], strict=True)
    return sum(abs(value(a) - value(b)) for a, b in pairs)
""",
    "competitions/sums/config.yaml": "id: sums\n",
    "competitions/sums/description.md": "# Predict y\n",
}


def _write(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)


def _data(home: Path) -> Path:
    _write(
        home,
        {
            "sums/prepared/public/test.csv": "id\n1\n2\n",
            "sums/prepared/private/answers.csv": "id,y\n1,3\n2,4\n",
            "sums/prepared/private/gold_submission.csv": "id,y\n1,3\n2,4\n",
        },
    )
    return home


def test_without_the_package_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="own package `mlebench`"):
        benchmark_named("mle-bench").instances(_data(tmp_path / "data"), tmp_path / "m")


def test_the_package_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "site/mlebench", PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    data = _data(tmp_path / "data")
    with pytest.raises(UsageError, match="no prepared competition"):
        benchmark_named("mle-bench").instances(tmp_path / "site", tmp_path / "m")
    (instance,) = benchmark_named("mle-bench").instances(data, tmp_path / "m")
    repository = tmp_path / "m" / instance.repo.replace("/", "+")
    assert not any("answers" in path.name for path in repository.rglob("*"))
    grade = command_grader(GraderOptions(tmp_path / "m", None, tmp_path / "s", "auto", timeout_s=60))
    gold = grade(instance, load_predictions("gold", [instance])[instance.id], tmp_path / "l/gold")
    assert gold.status == "resolved", (gold, (tmp_path / "l/gold/test_output.txt").read_text())
    assert gold.notes == ("score 0", "gold medal", "lower is better", "above the median")
    answers = {"far": "id,y\n1,9\n2,9\n", "near": "id,y\n1,3.05\n2,4\n", "broken": "id,y\n1\n"}
    found = {
        name: grade(
            instance,
            Prediction(instance.id, difference(repository, {"submission.csv": text}), "m"),
            tmp_path / "l" / name,
        )
        for name, text in answers.items()
    }
    assert {name: item.status for name, item in found.items()} == {
        "far": "unresolved",
        "near": "resolved",
        "broken": "unresolved",
    }
    assert "no medal" in found["far"].notes
    assert sys.modules.get("mlebench") is None, "the grader is not imported here"
