"""The official harness over a local image of the official name, on our predictions."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("swebench", reason="the extra `swebench` is not installed")

BUG = "def mean(values):\n    return sum(values) / (len(values) + 1)\n"
FIX = BUG.replace("(len(values) + 1)", "len(values)")
TESTS = "from calc import mean\n\n\ndef test_zero():\n    assert mean([0]) == 0\n"
MORE = TESTS + "\n\ndef test_mean():\n    assert mean([2, 4]) == 3\n"
IMAGE = "swebench/sweb.eval.x86_64.acme_1776_calc-1:latest"


def git(directory: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(directory), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def edited(repository: Path, path: str, text: str) -> str:
    """The diff of one edit, which is then undone."""
    (repository / path).write_text(text)
    diff = git(repository, "diff")
    git(repository, "checkout", "-q", ".")
    return diff


def owned_by_root(item: tarfile.TarInfo) -> tarfile.TarInfo:
    item.uid = item.gid = 0
    return item


@pytest.fixture
def testbed(tmp_path: Path, docker_engine: str, docker_image: str) -> Iterator[dict[str, Any]]:
    """The image of the instance, with the repository at /testbed, and its row."""
    import docker

    repository = tmp_path / "testbed"
    (repository / "tests").mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    (repository / "conftest.py").write_text("")
    (repository / "calc.py").write_text(BUG)
    (repository / "tests/test_calc.py").write_text(TESTS)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "base")
    client = docker.DockerClient(base_url=docker_engine)
    container = client.containers.create(docker_image, command=["true"])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(repository, "testbed", filter=owned_by_root)
    container.put_archive("/", buffer.getvalue())
    name, _, tag = IMAGE.rpartition(":")
    container.commit(repository=name, tag=tag)
    container.remove()
    row = {
        "repo": "acme/calc",
        "instance_id": "acme__calc-1",
        "base_commit": git(repository, "rev-parse", "HEAD").strip(),
        "patch": edited(repository, "calc.py", FIX),
        "test_patch": edited(repository, "tests/test_calc.py", MORE),
        "problem_statement": "mean is wrong",
        "version": "1.0",
        "created_at": "2024-06-01T00:00:00Z",
        "FAIL_TO_PASS": ["tests/test_calc.py::test_mean"],
        "PASS_TO_PASS": ["tests/test_calc.py::test_zero"],
        "install_config": {"python": "3.11", "test_cmd": "python3 -m pytest -rA"},
    }
    dataset = tmp_path / "data.json"
    dataset.write_text(json.dumps([row]))
    yield {"dataset": dataset, "row": row, "repository": repository, "home": tmp_path}
    client.images.remove(IMAGE, force=True)
    client.close()


@pytest.mark.docker
@pytest.mark.slow
def test_the_official_harness_judges_our_predictions(testbed: dict[str, Any]) -> None:
    home = testbed["home"]
    wrong = edited(testbed["repository"], "calc.py", BUG.replace("+ 1", "+ 2"))
    cases = {
        "gold": ("gold", "resolved_ids"),
        "wrong": (wrong, "unresolved_ids"),
        "broken": (wrong.replace("len(values) + 1", "nothing like this"), "error_ids"),
        "empty": ("", "empty_patch_ids"),
    }
    for name, (patch, expected) in cases.items():
        source = name
        if name != "gold":
            path = home / "preds.json"
            path.write_text(
                json.dumps(
                    {
                        "acme__calc-1": {
                            "instance_id": "acme__calc-1",
                            "model_name_or_path": "our/model",
                            "model_patch": patch,
                        }
                    }
                )
            )
            source = str(path)
        command = [
            sys.executable,
            "-m",
            "swe_agent",
            "eval",
            "--dataset",
            str(testbed["dataset"]),
            "--predictions",
            source,
            "--harness",
            "official",
            "--output",
            str(home / name),
            "--run-id",
            "same",
            "--json",
            "--timeout",
            "5m",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        found = [
            key for key in ("resolved_ids", "unresolved_ids", "error_ids", "empty_patch_ids") if report[key]
        ]
        assert found == [expected], (name, done.stderr)
        assert report["infra_failure_ids"] == []


@pytest.mark.docker
def test_a_missing_image_is_infrastructure(testbed: dict[str, Any]) -> None:
    home = testbed["home"]
    row = {**testbed["row"], "instance_id": "acme__calc-2", "image": "swebench/not-here:latest"}
    (home / "other.json").write_text(json.dumps([row]))
    command = [
        sys.executable,
        "-m",
        "swe_agent",
        "eval",
        "--dataset",
        str(home / "other.json"),
        "--predictions",
        "gold",
        "--harness",
        "official",
        "--output",
        str(home / "missing"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 9, done.stderr
    assert json.loads(done.stdout)["infra_failure_ids"] == ["acme__calc-2"]


@pytest.mark.docker
@pytest.mark.slow
def test_a_batch_in_the_image_is_graded_in_the_image(testbed: dict[str, Any]) -> None:
    home = testbed["home"]
    edit = {
        "name": "editFile",
        "arguments": {
            "path": "calc.py",
            "edits": [{"oldText": "(len(values) + 1)", "newText": "len(values)"}],
        },
    }
    finish = {"name": "finish", "arguments": {"summary": "done"}}
    script = home / "script.json"
    script.write_text(
        json.dumps({"turns": {"*/single/*": [{"tool_calls": [edit]}, {"tool_calls": [finish]}]}})
    )
    command = [sys.executable, "-m", "swe_agent", "batch", "--dataset", str(testbed["dataset"]), "--environment", "image",
               "--pull", "never", "--model", f"scripted/{script}", "--roles", "single", "--output", str(home / "out"),
               "--test-cmd", "python3 -m pytest", "--eval", "--retries", "0", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["evaluation"]["resolved_ids"] == ["acme__calc-1"], (
        done.stderr,
        done.stdout,
    )
