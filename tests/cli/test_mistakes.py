"""Mistakes of people in every command: one line that says what to do, the right code, no traceback, at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import dropwhile
from pathlib import Path

import pytest

from swe_agent.examples import materialise
from swe_agent.orchestrator.cli.main import main

MISTAKES: list[tuple[str, int, str]] = [
    # commands and flags
    ("sovle", 2, "did you mean solve?"),
    ("nonsense", 2, "see `swe-agent --help`"),
    ("--verison", 2, "did you mean --version?"),
    ("solve --sampels 3", 2, "did you mean --samples?"),
    ("solve --base-url http://h/v1", 2, "did you mean --api-base?"),
    ("solve --text", 2, "swe-agent solve: option '--text' requires an argument"),
    ("solve --text x --config", 2, "--config requires an argument"),
    ("solve", 2, "say which issue"),
    ("solve --text x stray", 2, "unexpected extra argument"),
    ("solve --text x --example", 2, "exclude each other"),
    ("solve --text x --resume r", 2, "exclude each other"),
    ("solve --text x -q -v", 2, "--quiet and --verbose exclude each other"),
    ("solve --text x --dataset d", 2, "--instance"),
    ("solve --instance i", 2, "--instance needs --dataset"),
    ("solve --text x --ready", 2, "--ready needs --open-pr"),
    ("solve --text x --fork never", 2, "--fork needs --open-pr"),
    ("solve --text x --search tre", 2, "did you mean tree?"),
    ("solve --text x --sandbox docke", 2, "did you mean docker?"),
    ("solve --text x --sandbox docker", 2, "--sandbox docker needs --image"),
    ("solve --text x -n 4", 2, "--samples 4 needs --search"),
    ("solve --text x -n many", 2, "--samples must be a whole number, not 'many'"),
    ("solve --text x --timeout 5x", 2, "write 90s, 30m or 2h"),
    ("solve --text x --role-model codr=m", 2, "write coder=M"),
    ("solve --resume last --model m", 2, "cannot change --model"),
    ("solve --resume last", 2, "there is no run yet"),
    ("batch", 2, "name the dataset"),
    ("batch --dataset x --redo nothing", 2, "choose from error, limit"),
    ("batch --dataset x --workers 0", 2, "--workers must be 1 or more"),
    ("batch --dataset x --environment native", 2, "needs --repo-mirror"),
    ("batch --dataset x --executor slurm", 2, "choose from local, ray"),
    ("batch --dataset x --benchmark humanevil", 2, "did you mean humaneval?"),
    ("batch --dataset x --retries -1", 2, "--retries must be 0 or more"),
    ("eval", 2, "name what is to be graded"),
    ("eval gold --harness mine", 2, "choose from auto, native"),
    ("eval --compare one", 2, "takes two evaluated runs"),
    ("eval gold --pass-k x", 2, "--pass-k"),
    ("eval gold --timeout 0", 2, "--timeout"),
    ("export", 2, "say what to export"),
    ("export r --format sft --out o --only some", 2, "--only 'some': choose from resolved, verified"),
    ("export r --format sft --out o --split x", 2, "--split: input should be a valid number; see"),
    ("reward", 2, "missing argument"),
    ("train", 2, "missing"),
    ("train sfd --data d --base-model m", 2, "METHOD 'sfd': choose from sft, dpo, kto, reward, grpo, prm, verifier; did you mean sft?"),
    ("runs", 2, "say which: list, show, rm"),
    ("runs shwo", 2, "did you mean 'show'?"),
    ("runs show", 2, "missing argument"),
    ("runs diff a", 2, "missing argument"),
    ("runs list --limit 0", 2, "--limit"),
    ("config", 2, "say which: init, show, schema"),
    ("config shw", 2, "did you mean 'show'?"),
    ("config show batsh", 2, "COMMAND 'batsh': choose from solve, batch, eval; did you mean batch?"),
    ("completion tcsh", 2, "choose from bash, zsh, fish"),
    ("doctor --png", 2, "did you mean --ping?"),
    ("pr last --fork sometimes", 2, "--fork 'sometimes': choose from auto, never"),
    ("view --port 99999", 2, "--port"),
    # names and paths
    ("solve --text x --repo gone", 2, "no such directory"),
    ("solve --text x --repo empty", 2, "not a git repository"),
    ("solve --text x --repo repo --base gone", 2, "no commit gone"),
    ("solve --text x --repo repo --output repo", 2, "not empty"),
    ("solve --text x --repo repo --output word", 2, "cannot create word: File exists"),
    ("solve --text x --repo repo --branch a..b", 2, "not a valid branch name"),
    ("solve --file gone.md", 2, "cannot read --file gone.md: No such file"),
    ("solve --file picture --repo repo", 2, "is not text"),
    ("solve --issue owner/repo", 8, "names no issue"),
    ("solve --text x --config gone.toml", 2, "no such file"),
    ("solve --text x --model gpt", 6, "unknown model 'gpt'"),
    ("solve --text x --model nosuch/m", 6, "unknown provider"),
    ("solve --text x --model offline/repare", 6, "called offline/repair"),
    ("solve --text x --model scripted/gone.json", 6, "does not exist"),
    ("batch --dataset gone.jsonl", 2, "no dataset file gone.jsonl"),
    ("batch --dataset verifed", 2, "did you mean verified?"),
    ("batch --dataset x --repo-mirror gone", 2, "not a directory"),
    ("batch --dataset x --model nosuch/m", 6, "unknown provider"),
    ("export gone --format sft --out o", 2, "gone is not a run"),
    ("export --verify empty", 2, "is not an export"),
    ("reward gone", 2, "gone is not a run"),
    ("reward damaged --reward quik", 2, "--reward quik: no such file, and no installed package offers it"),
    ("train sft --data gone --base-model m", 2, "--data gone: no such folder"),
    ("runs show gone", 2, "not a run"),
    ("runs rm gone", 2, "not a run"),
    ("apply gone", 2, "not a run"),
    ("apply last", 2, "there is no run yet"),
    ("pr gone", 2, "not a run"),
    ("report gone", 2, "not a run"),
    ("replay gone", 2, "not a run"),
    ("view gone", 2, "gone is not a folder"),
    ("verify --repo empty", 2, "not a git repository, nor inside one: name a checkout"),
    ("verify --repo repo", 2, "there are no uncommitted changes"),
    ("verify --repo repo --patch word", 2, "no unified diff"),
    # files
    ("solve --text x --config torn.toml", 2, "torn.toml cannot be read: Expected"),
    ("solve --text x --config empty", 2, "empty cannot be read: Is a directory"),
    ("solve --text x --config key.toml", 2, "key.toml: [solve] modle: no such key; did you mean model?"),
    ("solve --text x --config value.toml", 2, "value.toml: [solve] samples must be a whole number"),
    ("solve --text x --config table.toml", 2, "[sovle] is no command with settings"),
    ("solve --text x --role-file roles.toml", 2, "[codr] is no role; did you mean coder?"),
    ("solve --text x --repo repo --model scripted/torn.json", 2, "torn.json cannot be read"),
    ("solve --resume damaged", 2, "is damaged (it has no request)"),
    ("batch --dataset torn.json", 2, "neither JSON nor JSON lines"),
    ("batch --dataset rows.jsonl", 2, "rows.jsonl row 1: column 'instance_id' is missing"),
    ("export damaged --format sft --out word", 2, "not empty and not an export"),
    ("runs show damaged", 2, "is damaged"),
    ("runs show torn", 2, "is damaged"),
    ("apply damaged", 2, "is damaged"),
    ("report torn", 2, "is damaged"),
    # variables
    ("SWE_AGENT_SAMPLES=many solve --text x", 2, "SWE_AGENT_SAMPLES must be a whole number"),
    ("SWE_AGENT_MODEL=nope/x solve --text x --repo repo", 6, "(from SWE_AGENT_MODEL)"),
    ("solve --text x --repo repo --config model.toml", 6, "model.toml: model)"),
    ("SWE_AGENT_MODLE=m solve --text x", 2, "did you mean SWE_AGENT_MODEL?"),
    ("SWE_AGENT_CONFIG=gone.toml runs list", 2, "SWE_AGENT_CONFIG gone.toml: no such file"),
    ("SWE_AGENT_RUNS_LIST_LIMIT=x runs list", 2, "SWE_AGENT_RUNS_LIST_LIMIT: --limit: input should be"),
    ("PATH=/nowhere solve --text x --repo repo", 2, "git is not installed"),
    ("DOCKER_HOST=unix:///gone solve --text x --repo repo --image i -q", 7, "Docker daemon: No such file"),
    ("OPENAI_API_KEY= solve --text x --repo repo --model openai/gpt-5", 6, "set OPENAI_API_KEY"),
    ("XDG_CONFIG_HOME=word config show", 2, "cannot be read: Not a directory"),
    ("XDG_CACHE_HOME=word solve --example -q", 7, "XDG_CACHE_HOME"),
]  # fmt: skip
FILES = {
    "word": "a word\n", "model.toml": "model = 'nope/x'\n", "torn.toml": "[solve\n", "key.toml": "[solve]\nmodle = 'm'\n", "roles.toml": "[codr]\n",
    "value.toml": "[solve]\nsamples = 'many'\n", "table.toml": "[sovle]\n a = 1\n", "torn.json": "{", "rows.jsonl": "{}\n",
    "damaged/run.json": "{}", "torn/run.json": "{",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user may have lying about."""
    root = tmp_path_factory.mktemp("folder")
    materialise(root / "repo")
    (root / "empty").mkdir()
    (root / "picture").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def _places(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in [name for name in os.environ if name.startswith(("SWE_AGENT_", "GIT_"))]:
        monkeypatch.delenv(name)


def parted(line: str, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Variables, which stand in front as in a shell, and arguments."""
    words = line.split()
    arguments = list(dropwhile(lambda word: "=" in word, words))
    pairs = [word.partition("=") for word in words[: len(words) - len(arguments)]]
    return {
        name: str(folder / value) if name.startswith("XDG") else value for name, _, value in pairs
    }, arguments


@pytest.mark.usefixtures("_places")
@pytest.mark.parametrize(("line", "code", "words"), MISTAKES, ids=lambda item: str(item)[:60])
def test_mistakes(
    line: str,
    code: int,
    words: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    variables, arguments = parted(line, folder)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    started = time.process_time()
    assert main(arguments) == code
    assert time.process_time() - started < 3
    captured = capfd.readouterr()
    assert words.lower() in captured.err.lower()
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert "Traceback" not in captured.err
    if code != 7:
        assert not list(tmp_path.glob("state/swe-agent/runs/*")), "nothing was begun"


@pytest.mark.slow
def test_the_same_as_processes(folder: Path, tmp_path: Path) -> None:
    """A fifth of them from the outside, some at once: nothing is said after the line either."""
    places = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "STATE", "CACHE")}

    def told(line: str) -> tuple[int, int, str, float]:
        variables, arguments = parted(line, folder)
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "swe_agent", *arguments],
            env={**os.environ, **places, **variables}, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stderr.count("\n"), done.stdout, time.monotonic() - started

    chosen = MISTAKES[::5]
    with ThreadPoolExecutor(4) as pool:
        for (line, code, _), found in zip(chosen, pool.map(told, [item[0] for item in chosen]), strict=True):
            assert found[:3] == (code, 1, ""), (line, found)


@pytest.mark.usefixtures("_places")
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
