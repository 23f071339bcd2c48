"""Mistakes of people in every command: one line that says what to do, the right code, no traceback, at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swe_agent.orchestrator.cli.main import main

MISTAKES: list[tuple[list[str], int, str]] = [
    (["sovle"], 2, "did you mean solve?"),
    (["nonsense"], 2, "see `swe-agent --help`"),
    (["solve", "--sampels", "3"], 2, "did you mean --samples?"),
    (["solve", "--text"], 2, "requires an argument"),
    (["solve"], 2, "say which issue"),
    (["solve", "--text", "x", "--example"], 2, "exclude each other"),
    (["solve", "--text", "x", "--dataset", "d"], 2, "--instance"),
    (["solve", "--instance", "i"], 2, "--instance needs --dataset"),
    (["solve", "--text", "x", "--ready"], 2, "--ready needs --open-pr"),
    (["solve", "--text", "x", "--fork", "never"], 2, "--fork needs --open-pr"),
    (["solve", "--text", "x", "-q", "-v"], 2, "--quiet and --verbose exclude each other"),
    (["solve", "--text", "x", "--search", "tre"], 2, "did you mean tree?"),
    (["solve", "--text", "x", "-n", "4"], 2, "--samples 4 needs --search"),
    (["solve", "--resume", "last", "--model", "m"], 2, "cannot change --model"),
    (["solve", "--resume", "last"], 2, "there is no run yet"),
    (["solve", "--text", "x", "--resume", "r"], 2, "exclude each other"),
    (["solve", "--text", "x", "stray"], 2, "unexpected extra argument"),
    (["solve", "--config", "gone.toml", "--text", "x"], 2, "no such file"),
    (["batch"], 2, "name the dataset"),
    (["batch", "--dataset", "gone.jsonl"], 2, "gone.jsonl"),
    (["batch", "--dataset", "x", "--redo", "nothing"], 2, "choose from error, limit"),
    (["batch", "--dataset", "x", "--workers", "0"], 2, "--workers must be 1 or more"),
    (["batch", "--dataset", "x", "--environment", "native"], 2, "needs --repo-mirror"),
    (["batch", "--dataset", "x", "--repo-mirror", "gone"], 2, "not a directory"),
    (["batch", "--dataset", "x", "--executor", "slurm"], 2, "choose from local, ray"),
    (["batch", "--dataset", "x", "--benchmark", "humanevil"], 2, "did you mean humaneval?"),
    (["batch", "--dataset", "x", "--retries", "-1"], 2, "--retries must be 0 or more"),
    (["batch", "--dataset", "x", "--model", "nosuch/m"], 6, "unknown provider"),
    (["eval"], 2, "name what is to be graded"),
    (["eval", "gold", "--harness", "mine"], 2, "choose from auto, native"),
    (["eval", "--compare", "one"], 2, "takes two evaluated runs"),
    (["eval", "gold", "--pass-k", "x"], 2, "--pass-k"),
    (["eval", "gold", "--timeout", "0"], 2, "--timeout"),
    (["export"], 2, "say what to export"),
    (["export", "gone", "--format", "sft", "--out", "o"], 2, "gone is not a run"),
    (["export", "--verify", "gone"], 2, "gone"),
    (["reward"], 2, "missing argument"),
    (["reward", "gone"], 2, "gone is not a run"),
    (["train"], 2, "missing"),
    (["runs"], 2, ""),
    (["runs", "shwo"], 2, "did you mean 'show'?"),
    (["runs", "show"], 2, "missing argument"),
    (["runs", "show", "gone"], 2, "not a run"),
    (["runs", "rm", "gone"], 2, "not a run"),
    (["runs", "diff", "a"], 2, "missing argument"),
    (["runs", "list", "--limit", "0"], 2, "--limit"),
    (["apply", "gone"], 2, "not a run"),
    (["apply", "last"], 2, "there is no run yet"),
    (["pr", "gone"], 2, "not a run"),
    (["report", "gone"], 2, "not a run"),
    (["replay", "gone"], 2, "not a run"),
    (["config", "shw"], 2, "did you mean 'show'?"),
    (["config", "show", "exprot"], 2, "choose from solve, batch, eval"),
    (["completion", "tcsh"], 2, "choose bash, zsh or fish"),
    (["doctor", "--png"], 2, "did you mean --ping?"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


@pytest.mark.parametrize(("arguments", "code", "words"), MISTAKES, ids=lambda item: str(item)[:60])
def test_mistakes(arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.process_time()
    assert main(arguments) == code
    assert time.process_time() - started < 3
    captured = capsys.readouterr()
    if words:
        assert words.lower() in captured.err.lower()
        assert captured.err.count("\n") == 1
        assert captured.out == ""
    assert "Traceback" not in captured.err


def test_a_run_that_was_damaged_is_a_line_among_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("a", "{"), ("b", "{}"), ("c", json.dumps({"request": {}, "status": "\x1b[2Jx"}))):
        folder = tmp_path / "state" / "swe-agent" / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(text)
    assert main(["runs", "list"]) == 0
    shown = capsys.readouterr().out
    assert "3 that failed" in shown
    assert "\x1b" not in shown


def test_a_state_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "swe_agent", "solve", "--example", "-q"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "file")},
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot create" in done.stderr
