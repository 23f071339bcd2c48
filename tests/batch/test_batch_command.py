"""`swe-agent batch` end to end: a scripted model whose one edit is right here, wrong there, impossible
elsewhere; a repository that is missing at first; the grader's word on each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lacking import no_index

BUG = "def mean(values):\n    return sum(values) / (len(values) + 1)\n"
FIX = BUG.replace("(len(values) + 1)", "len(values)")
SETUP = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "calc"\n' \
        'version = "1.0"\n[tool.setuptools]\npy-modules = ["calc"]\n'  # fmt: skip
OLD = "from calc import mean\n\n\ndef test_zero():\n    assert mean([0]) == 0\n"


def git(directory: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(directory), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def diff(repository: Path, path: str, text: str) -> str:
    (repository / path).write_text(text)
    found = git(repository, "diff")
    git(repository, "checkout", "-q", ".")
    return found


def make_row(home: Path, name: str, source: str, wanted: str, gold: str) -> dict[str, Any]:
    """A repository with a bug and a later commit that solves it, and its row."""
    repository = home / "sources" / name
    (repository / "tests").mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    (repository / "pyproject.toml").write_text(SETUP)
    (repository / "calc.py").write_text(source)
    (repository / "tests/test_calc.py").write_text(OLD)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "base")
    base = git(repository, "rev-parse", "HEAD").strip()
    test = diff(repository, "tests/test_calc.py", f"{OLD}\n\ndef test_wanted():\n    assert {wanted}\n")
    patch = diff(repository, "calc.py", gold)
    (home / "mirrors").mkdir(exist_ok=True)
    git(home, "clone", "-q", "--bare", str(repository), str(home / "mirrors" / f"acme+{name}"))
    return {
        "repo": f"acme/{name}", "instance_id": f"acme__{name}-1", "base_commit": base, "patch": patch, "test_patch": test,
        "problem_statement": "mean is wrong\n\nSee the title.", "created_at": "2024-06-01T00:00:00Z",
        "FAIL_TO_PASS": '["tests/test_calc.py::test_wanted"]', "PASS_TO_PASS": '["tests/test_calc.py::test_zero"]',
        "install_config": {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "test_cmd": "pytest -rA", "pip_packages": ["pytest"]},
    }  # fmt: skip


def swe_agent(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "swe_agent", *map(str, arguments)], capture_output=True, text=True,
                          timeout=280, cwd=home, env={**os.environ, "CI": "true"})  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_figures_are_the_graders_and_faults_are_no_predictions(tmp_path: Path) -> None:
    if why := no_index():
        pytest.skip(why)
    median = "def mean(values):\n    return sorted(values)[len(values) // 2]\n"
    other = "def mean(xs):\n    total = 1\n    for x in xs:\n        total += x\n    return total / len(xs) - 1 / len(xs) * 2\n"
    rows = [
        make_row(tmp_path, "right", BUG, "mean([2, 4]) == 3", FIX),
        make_row(tmp_path, "wrong", BUG, "mean([1, 2, 9]) == 2", median),
        make_row(tmp_path, "empty", other, "mean([2, 4]) == 3", FIX),
    ]
    dataset = tmp_path / "data.jsonl"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))
    edit = {
        "name": "editFile",
        "arguments": {
            "path": "calc.py",
            "edits": [{"oldText": "(len(values) + 1)", "newText": "len(values)"}],
        },
    }
    finish = {"name": "finish", "arguments": {"summary": "done"}}
    give_up = {"name": "finish", "arguments": {"summary": "no such line", "gaveUp": True}}
    turns = [{"tool_calls": [item]} for item in (edit, finish, give_up)]
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"turns": {"*/single/*": turns}}))
    hidden = tmp_path / "acme+wrong"
    (tmp_path / "mirrors/acme+wrong").rename(hidden)
    command = ["batch", "--dataset", dataset, "--model", f"scripted/{script}", "--name", "scripted", "--roles", "single",
               "--repo-mirror", tmp_path / "mirrors", "--cache", tmp_path / "cache", "--output", tmp_path / "out",
               "--environment", "native", "--workers", "2", "--retries", "0"]  # fmt: skip

    first = swe_agent(tmp_path, *command)
    assert first.returncode == 9, first.stderr
    assert "resume: swe-agent batch" in first.stderr
    predictions = json.loads((tmp_path / "out/preds.json").read_text())
    assert sorted(predictions) == ["acme__empty-1", "acme__right-1"]
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["instances"]["acme__wrong-1"]["status"] == "infrastructure"
    assert results["instances"]["acme__wrong-1"]["reason"] == "repository"

    hidden.rename(tmp_path / "mirrors/acme+wrong")
    second = swe_agent(tmp_path, *command, "--eval")
    assert second.returncode == 0, second.stderr
    assert "resume: 2 done, 1 infrastructure errors re-queued, 0 continue, 0 new" in second.stderr
    predictions = json.loads((tmp_path / "out/preds.json").read_text())
    assert predictions["acme__empty-1"]["model_patch"] == ""
    assert predictions["acme__right-1"]["model_name_or_path"] == "scripted"
    assert "+    return sum(values) / len(values)\n" in predictions["acme__wrong-1"]["model_patch"]
    verdicts = json.loads((tmp_path / "out/results.json").read_text())["evaluation"]
    assert (verdicts["resolved_ids"], verdicts["unresolved_ids"], verdicts["empty_patch_ids"]) == (
        ["acme__right-1"], ["acme__wrong-1"], ["acme__empty-1"])  # fmt: skip
    assert json.loads((tmp_path / "out/results.json").read_text())["summary"]["leak_audit"] == {
        "audited": 3, "flagged": 0, "flags": {}}  # fmt: skip

    alone = swe_agent(
        tmp_path,
        "eval",
        tmp_path / "out",
        "--cache",
        tmp_path / "cache",
        "--output",
        tmp_path / "again",
        "--json",
    )
    report = json.loads(alone.stdout)
    for key in ("resolved_ids", "unresolved_ids", "empty_patch_ids", "error_ids"):
        assert report[key] == verdicts[key]

    clean = swe_agent(
        tmp_path, *command[:-6], "--workers", "1", "--output", tmp_path / "clean", "--environment", "native"
    )
    assert clean.returncode == 0, clean.stderr
    assert (tmp_path / "clean/preds.json").read_bytes() == (tmp_path / "out/preds.json").read_bytes()

    refused = swe_agent(tmp_path, *command, "--seed", "7")
    assert refused.returncode == 2
    assert "another --output" in refused.stderr


@pytest.mark.parametrize(
    "flags",
    [[], ["--dataset", "gone.jsonl"], ["--dataset", "x.jsonl", "--redo", "nothing"], ["--dataset", "x.jsonl", "--workers", "0"],
     ["--dataset", "x.jsonl", "--environment", "native"], ["--dataset", "x.jsonl", "--executor", "slurm"]],
)  # fmt: skip
def test_mistakes_of_the_user_are_one_line(flags: list[str], tmp_path: Path) -> None:
    done = swe_agent(tmp_path, "batch", *flags)
    assert done.returncode == 2
    assert done.stdout == ""
