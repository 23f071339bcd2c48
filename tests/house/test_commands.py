"""The command line as a whole: help, versions, completion, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from swe_agent import __version__
from swe_agent.orchestrator.cli.app import COMMANDS
from swe_agent.orchestrator.exit_code import exit_code_of
from swe_agent.tools import errors


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "swe_agent", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: swe-agent {command} ")
    commands = re.findall(r"^  (\w+)  ", done.stdout.partition("\nCommands:\n")[2], re.M)
    for text in (done.stdout, *(run(command, name, "--help", COLUMNS="80").stdout for name in commands)):
        assert not re.search(
            r"[│╭]|<(bool|str|int|path|list)|env var|install-completion|  \w+ .*\.\.\.$", text, re.M
        ), text
        assert max(map(len, text.splitlines())) <= 80, text
        options = re.findall(r"^  (-[\w-].*)\n(?!   )", text.partition("ptions:\n")[2], re.M)
        assert all("  " in option for option in options), "an option without a word of help"


def test_version() -> None:
    assert run("--version").stdout.strip() == __version__


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["solve", "--nosuch"], ["solve", "--width", "x"], ["runs", "show"]]
)
def test_usage_errors(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_SWE_AGENT_COMPLETE" in run("completion", shell).stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("swe-agent so", ["solve"]),
        ("swe-agent export --format sft", ["sft", "sft_pc", "sft_tokens"]),
        ("swe-agent apply la", ["last"]),
        ("swe-agent solve --search t", ["tree"]),
    ],
)
def test_completion_completes(words: str, offered: list[str]) -> None:
    at = str(len(words.split()) - 1)
    done = run(_SWE_AGENT_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=at)
    assert done.stdout.split() == offered


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError, 2),
        (errors.RepositoryError, 2),
        (errors.RecordError, 2),
        (errors.ExportError, 2),
        (errors.PatchError, 4),
        (errors.BudgetExceeded, 5),
        (errors.CredentialsError, 6),
        (errors.ModelError, 6),
        (errors.ContextOverflowError, 6),
        (errors.SandboxError, 7),
        (errors.ProjectError, 7),
        (errors.IssueError, 8),
        (errors.ForgeError, 8),
        (ValueError, 1),
    ],
)
def test_exit_codes(error: type[BaseException], code: int) -> None:
    assert exit_code_of(error("x")) == code


def test_a_bug_is_one_line_and_a_saved_traceback(tmp_path: Path) -> None:
    """A broken installation stands for what nobody foresaw."""
    code = (
        "import sys, types; broken = types.ModuleType('typer_is_fine');"
        "sys.modules['swe_agent.orchestrator.solving.diagnosis'] = broken;"
        "from swe_agent.orchestrator.cli.main import main; sys.exit(main(['doctor']))"
    )
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "ImportError" in done.stderr
    saved = list((tmp_path / "swe-agent/tracebacks").iterdir())
    assert len(saved) == 1
    assert str(saved[0]) in done.stderr
    assert "Traceback" in saved[0].read_text()
