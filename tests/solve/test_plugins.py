"""The example package of plug-ins, installed as a user would and used through the real command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import CODER, Done, call, events, review, said

Run = Callable[..., Done]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples/plugin/repo"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, home / "source")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(home / "site")]
    if find_spec("setuptools"):
        command.append("--no-build-isolation")
    subprocess.run([*command, str(home / "source")], check=True)
    return home / "site"


@pytest.fixture
def with_plugins(swe_agent: Run, installed: Path) -> Run:
    return lambda *arguments: swe_agent(*arguments, env={"PYTHONPATH": str(installed)})


def test_roles_prompts_and_tools(
    with_plugins: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    counted = said(call("countLines", path="parking/tariff.py"), call("countLines", path="gone.py"))
    critic = [said(call("diff"), call("countLines", path="parking/tariff.py")), said(review(True))]
    model = script(coder=[counted, *CODER], critic=critic)
    command = (
        "solve",
        "--text",
        "Charged too much",
        "-r",
        parking,
        "-m",
        model,
        "--json",
        "-o",
        tmp_path / "run",
    )
    done = with_plugins(*command, "--role-file", EXAMPLE / "roles.toml")
    assert done.code == 0, done.err
    tools = {event["name"].split(":")[0]: [t["function"]["name"] for t in event["tools"]] for event in events(tmp_path / "run", "toolset")}  # fmt: skip
    assert {"countLines", "shell"} <= set(tools["coder"])
    assert "countLines" not in tools["tester"]
    assert tools["critic"] == ["diff", "countLines", "finish"]
    used = [event for event in events(tmp_path / "run", "tool") if event["name"] == "countLines"]
    assert [event["ok"] for event in used] == [True, False, True]
    prompts = {e["agent"].split(":")[0]: e["content"] for e in events(tmp_path / "run", "message") if e["role"] == "system"}  # fmt: skip
    assert prompts["coder"].startswith("You are the Coder. You solve an issue in the repository at /")
    assert prompts["critic"].startswith("You review the patch that stands in /")
    assert all("marks was written by others" in prompt for prompt in prompts.values())
    replayed = with_plugins("replay", tmp_path / "run", "--output", tmp_path / "again")
    assert replayed.code == 0, replayed.err
    rewarded = with_plugins("reward", tmp_path / "run", "--reward", "quick", "--json")
    assert rewarded.code == 0, rewarded.err
    assert set(json.loads(rewarded.out.splitlines()[0])["components"]) == {"tests", "time"}
    exported = with_plugins(
        "export",
        tmp_path / "run",
        "--format",
        "grpo",
        "--reward",
        "quick",
        "--include-offline",
        "--out",
        "data",
    )
    assert exported.code == 0, exported.err
    assert "grpo/train.jsonl: 1 rows" in exported.out


def test_models_benchmarks_and_what_is_there(with_plugins: Run, parking: Path, tmp_path: Path) -> None:
    done = with_plugins("solve", "--text", "x", "-r", parking, "-m", "plugin/gives-up", "--json")
    assert done.code == 3, done.err
    row = {"id": "a", "prompt": "p", "code": "x = 1\n", "test": "import answer\nassert answer.x == 2\n"}
    (tmp_path / "data.jsonl").write_text(json.dumps(row) + "\n")
    listed = with_plugins(
        "batch", "--benchmark", "one-liners", "--dataset", tmp_path / "data.jsonl", "--dry-run"
    )
    assert listed.code == 0, listed.err
    assert listed.out.startswith("one-liners__a\tone-liners/a\t")
    batch = ("--benchmark", "one-liners", "--dataset", tmp_path / "data.jsonl", "--output", "out")
    solved = with_plugins("batch", *batch, "-m", "plugin/gives-up")
    assert solved.code == 0, solved.err
    graded = with_plugins("eval", "out", "--json")
    assert graded.code == 0, graded.err
    assert json.loads(graded.out)["empty_patch_instances"] == 1
    assert "countLines (tool of swe-agent-lines 0.1)" in with_plugins("doctor").out


FILES = {
    "[codr]\n": "[codr] is no role; did you mean coder?",
    "[coder]\npromt = 'x'\n": "promt: no such key; did you mean prompt?",
    "[coder]\nprompt = 'gone.md'\n": "No such file",
    "[coder]\nprompt = 'hole.md'\n": "'nothing' is undefined; it may use root",
    "[coder]\ntools = ['readFil']\n": "no such tool; did you mean readFile?",
    "[coder]\ntools = 'readFile'\n": "must be a list of names",
    "[critic]\nadd-tools = ['editFile']\n": "changes files, and the critic may not",
    "[critic]\nuse = 'brief-critic'\n": "no installed package offers 'brief-critic'",
    "[coder\n": "Expected",
}


def test_mistakes_in_a_role_file_are_told_before_anything_runs(swe_agent: Run, tmp_path: Path) -> None:
    (tmp_path / "hole.md").write_text("{{ nothing }}")
    for text, words in FILES.items():
        (tmp_path / "roles.toml").write_text(text)
        done = swe_agent("solve", "--text", "x", "--role-file", "roles.toml")
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert words in done.err
        assert "--role-file" in done.err
    done = swe_agent("solve", "--text", "x", "-m", "plugin/gives-up")
    assert (done.code, done.err.count("\n")) == (6, 1)
