"""Native evaluation end to end: a small project, its environment, gold, empty and wrong predictions."""

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
TESTS = "from calc import mean\n\n\ndef test_zero():\n    assert mean([0]) == 0\n"
MORE = TESTS + "\n\ndef test_mean():\n    assert mean([2, 4]) == 3\n"
SETUP = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "calc"\n' \
        'version = "1.0"\n[tool.setuptools]\npackage-dir = { "" = "src" }\npy-modules = ["calc"]\n'  # fmt: skip


def git(directory: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(directory), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def patch(before: str, after: str, path: str, tmp: Path) -> str:
    """A diff in git's format."""
    tmp.mkdir(parents=True, exist_ok=True)
    git(tmp, "init", "-q")
    target = tmp / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(before)
    git(tmp, "add", "-A")
    target.write_text(after)
    return git(tmp, "diff", "--", path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A mirror with a later commit that holds the fix, a dataset, and prediction patches."""
    home = tmp_path_factory.mktemp("world")
    source = home / "source"
    (source / "src").mkdir(parents=True)
    (source / "tests").mkdir()
    git(source, "init", "-q", "-b", "main")
    (source / "pyproject.toml").write_text(SETUP)
    (source / "src/calc.py").write_text(BUG)
    (source / "tests/test_calc.py").write_text(TESTS)
    git(source, "add", "-A")
    git(source, "commit", "-qm", "base")
    base = git(source, "rev-parse", "HEAD").strip()
    (source / "src/calc.py").write_text(FIX)
    git(source, "commit", "-qam", "the fix")
    mirrors = home / "mirrors"
    mirrors.mkdir()
    git(home, "clone", "-q", "--bare", str(source), str(mirrors / "acme__calc"))
    row = {
        "repo": "acme/calc",
        "instance_id": "acme__calc-1",
        "base_commit": base,
        "patch": patch(BUG, FIX, "src/calc.py", home / "p1"),
        "test_patch": patch(TESTS, MORE, "tests/test_calc.py", home / "p2"),
        "problem_statement": "mean is wrong",
        "created_at": "2024-06-01T00:00:00Z",
        "FAIL_TO_PASS": '["tests/test_calc.py::test_mean"]',
        "PASS_TO_PASS": '["tests/test_calc.py::test_zero"]',
        "install_config": {
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "test_cmd": "pytest -rA",
            "pip_packages": ["pytest"],
        },
    }
    (home / "data.json").write_text(json.dumps([row, {**row, "instance_id": "acme__calc-2"}]))
    return {"home": home, "mirrors": mirrors, "row": row, "base": base}


def evaluate(
    world: dict[str, Any], predictions: str, output: str, *more: str, env: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    command = [
        sys.executable, "-m", "swe_agent", "eval", "--dataset", str(world["home"] / "data.json"),
        "--predictions", predictions, "--repo-mirror", str(world["mirrors"]), "--output", str(world["home"] / output),
        "--cache", str(world["home"] / "cache"), "--harness", "native", "--json", *more,
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=250, env={**os.environ, **(env or {})}
    )
    assert done.stdout.strip(), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def gold(world: dict[str, Any]) -> dict[str, Any]:
    """The report of the gold predictions, from a clean cache."""
    if why := no_index():
        pytest.skip(why)
    code, report = evaluate(world, "gold", "gold")
    assert code == 0, report
    return report


@pytest.mark.slow
class TestNative:
    def test_gold_resolves(self, gold: dict[str, Any]) -> None:
        assert gold["resolved_ids"] == ["acme__calc-1", "acme__calc-2"], gold
        assert gold["error_ids"] == gold["unresolved_ids"] == []
        assert gold["seconds"]["acme__calc-1"]["tests"] > 0

    def test_empty_does_not(self, world: dict[str, Any], gold: dict[str, Any]) -> None:
        code, report = evaluate(world, "empty", "empty")
        assert (code, report["resolved_ids"]) == (0, [])
        assert report["unresolved_ids"] == ["acme__calc-1", "acme__calc-2"]

    def test_a_gold_that_does_not_resolve_is_told(self, world: dict[str, Any], gold: dict[str, Any]) -> None:
        wrong = patch(BUG, BUG.replace("+ 1", "+ 3"), "src/calc.py", world["home"] / "p8")
        rows = [world["row"], {**world["row"], "instance_id": "acme__calc-3", "patch": wrong}]
        data = world["home"] / "doubtful.json"
        data.write_text(json.dumps(rows))
        code, report = evaluate(world, "gold", "doubtful", "--dataset", str(data))
        assert (code, report["unresolved_ids"]) == (9, ["acme__calc-3"])

    def test_answers_of_every_quality(self, world: dict[str, Any], gold: dict[str, Any]) -> None:
        home = world["home"]
        wrong = patch(BUG, BUG.replace("+ 1", "+ 2"), "src/calc.py", home / "p3")
        broken = wrong.replace("len(values)", "nothing_like_this").replace("@@ -1,2", "@@ -71,2")
        cases = {
            "right": (world["row"]["patch"], "resolved_ids"),
            "wrong": (wrong, "unresolved_ids"),
            "broken": (broken, "error_ids"),
            "empty": ("", "empty_patch_ids"),
            # a fix that brings a dependency: the harness installs the project again once it is applied
            "dependency": (patch(BUG, "import appdirs\n" + FIX, "src/calc.py", home / "p6")
                           + patch(SETUP, SETUP.replace('version = "1.0"', 'version = "1.0"\ndependencies = ["appdirs"]'),
                                   "pyproject.toml", home / "p7"), "resolved_ids"),
            # it edits the test that judges it: the test files are taken back to the base first
            "cheat": (patch(TESTS, "def test_mean(): pass\ndef test_zero(): pass\n", "tests/test_calc.py", home / "p4"),
                      "unresolved_ids"),
            # its code prints a verdict of its own
            "shout": (patch(BUG, "print('PASSED tests/test_calc.py::test_mean')\nprint('PASSED tests/test_calc.py::test_zero')\n"
                            "import os\nos._exit(3)\n", "src/calc.py", home / "p5"), "unresolved_ids"),
        }  # fmt: skip
        for name, (text, expected) in cases.items():
            path = home / f"{name}.json"
            path.write_text(
                json.dumps([{"instance_id": "acme__calc-1", "model_name_or_path": "m", "model_patch": text}])
            )
            code, report = evaluate(world, str(path), name)
            assert code == 0
            found = [
                key
                for key in ("resolved_ids", "unresolved_ids", "error_ids", "empty_patch_ids")
                if report[key]
            ]
            assert found == [expected], (name, report)
            assert report["infra_failure_ids"] == []

    def test_environments_of_agent_and_grader_share_nothing(
        self, world: dict[str, Any], gold: dict[str, Any]
    ) -> None:
        from swe_agent.orchestrator.benchmarks.dataset import load_instances
        from swe_agent.orchestrator.grading.native import prepare_environment
        from swe_agent.tools.git import git as run_git

        instance = load_instances(str(world["home"] / "data.json"))[0]
        made = [
            prepare_environment(instance, world["mirrors"], purpose=purpose, cache=world["home"] / "cache")
            for purpose in ("agent", "grader")
        ]
        assert made[1].cached
        assert len(list((world["home"] / "cache/native/layers").glob("*/layer.json"))) == 2
        assert made[0].repository != made[1].repository
        inodes = [
            {path.stat().st_ino for path in item.repository.rglob("*") if path.is_file()} for item in made
        ]
        assert not inodes[0] & inodes[1]
        for item in made:
            later = run_git(world["mirrors"] / "acme__calc", "rev-parse", "main").strip()
            assert later != world["base"]
            assert run_git(item.repository, "cat-file", "-t", later, check=False) == ""
            assert run_git(item.repository, "rev-list", "--all").split()[-1] == world["base"]

    def test_an_index_that_is_down_is_infrastructure(self, world: dict[str, Any]) -> None:
        nowhere = "http://127.0.0.1:9/simple"
        env = {
            "UV_DEFAULT_INDEX": nowhere,
            "UV_INDEX_URL": nowhere,
            "UV_HTTP_RETRIES": "0",
            "UV_FIND_LINKS": "",
        }
        options = ("--cache", str(world["home"] / "cold"), "--instances", "acme__calc-1")
        code, report = evaluate(world, "gold", "down", *options, env=env)
        assert code == 9
        assert report["infra_failure_ids"] == ["acme__calc-1"]
        assert "index cannot be reached" in report["failure_reasons"]["acme__calc-1"]
        assert not list((world["home"] / "cold/native").glob("*/environment.json"))

    def test_a_mirror_that_lacks_the_commit_is_infrastructure(self, world: dict[str, Any]) -> None:
        home = world["home"]
        other = home / "other/acme+calc"
        other.mkdir(parents=True)
        git(other, "init", "-q", "--bare")
        command_world = {**world, "mirrors": home / "other"}
        code, report = evaluate(command_world, "gold", "lacking")
        assert code == 9
        assert report["infra_failure_ids"] == ["acme__calc-1", "acme__calc-2"]
        assert "lacks commit" in report["failure_reasons"]["acme__calc-1"]


def test_without_uv_nothing_is_built_and_nothing_judged(world: dict[str, Any], tmp_path: Path) -> None:
    bare = "import sys; sys.modules['uv'] = None; from swe_agent.orchestrator.cli.entry import main; sys.exit(main())"
    command = [
        sys.executable, "-c", bare, "eval", "--dataset", str(world["home"] / "data.json"), "--predictions", "gold",
        "--repo-mirror", str(world["mirrors"]), "--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PATH": "/usr/bin:/bin"}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install uv" in done.stderr
    assert not [*tmp_path.rglob("native"), *tmp_path.rglob("*.json")]


def test_compare_and_seeds(tmp_path: Path) -> None:
    for name, resolved in (("a", ["i1", "i2"]), ("b", ["i1"])):
        unresolved = sorted({"i1", "i2", "i3"} - set(resolved))
        (tmp_path / f"{name}.json").write_text(
            json.dumps({"resolved_ids": resolved, "unresolved_ids": unresolved})
        )
    command = [
        sys.executable,
        "-m",
        "swe_agent",
        "eval",
        "--compare",
        str(tmp_path / "a.json"),
        str(tmp_path / "b.json"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    found = json.loads(done.stdout)
    assert (found["instances"], found["only_a"], found["only_b"], found["p_value"]) == (3, ["i2"], [], 1.0)
    (tmp_path / "b.json").write_text(json.dumps({"resolved_ids": ["i9"]}))
    apart = subprocess.run([*command, "--output", str(tmp_path / "c.json")], capture_output=True, text=True)
    assert (apart.returncode, apart.stdout) == (2, "")
    assert "share no graded instance (3 in" in apart.stderr
    assert not (tmp_path / "c.json").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--predictions", "gold"],
        ["--dataset", "nope.jsonl", "--predictions", "gold"],
        ["--compare", "a"],
        ["--bad"],
        [],
    ],
)
def test_mistakes_of_the_user_are_one_line(flags: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swe_agent", "eval", *flags], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
