"""A small real repository with a real bug, a scripted team that solves it, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swe_agent.examples import materialise

FAILING = [
    "tests/test_tariff.py::test_a_stay_that_ends_on_the_hour[10:00-11:00-1]",
    "tests/test_tariff.py::test_a_stay_that_ends_on_the_hour[10:00-12:00-2]",
]
WRONG = "return minutes // MINUTES_PER_HOUR + 1"
ISSUE = "# Charged too much\n\nA stay that ends exactly on the hour is charged one hour too many.\n"
SOLVE = ("solve", "--text", ISSUE, "--repo")
"""The beginning of a command; the repository follows."""
RIGHT = "return -(-minutes // MINUTES_PER_HOUR)"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        lines = [line for line in self.out.splitlines() if line]
        assert len(lines) == 1, self.out
        return json.loads(lines[0])


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of environments for all runs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(tmp_path: Path, cache: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SWE_AGENT_", "OPENAI_", "GH_", "GITHUB_"))
    }
    return {
        **kept,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SWE_AGENT_CACHE": str(cache),
    }


@pytest.fixture
def command(environment: dict[str, str]) -> list[str]:
    return [sys.executable, "-m", "swe_agent"]


@pytest.fixture
def swe_agent(command: list[str], environment: dict[str, str], tmp_path: Path) -> Callable[..., Done]:
    """Run `swe-agent ARGUMENTS` to the end."""

    def run(*arguments: object, stdin: str = "", env: dict[str, str] | None = None) -> Done:
        done = subprocess.run(
            [*command, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
            env={**environment, **(env or {})},
            cwd=tmp_path,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def parking(tmp_path: Path) -> Path:
    return materialise(tmp_path / "parking")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def state_of(folder: Path) -> tuple[str, str, list[tuple[str, bytes]]]:
    """Everything a user would see of a checkout: HEAD, index and status, every file outside .git."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return (
        git(folder, "rev-parse", "HEAD"),
        git(folder, "status", "--porcelain", "--ignored"),
        [(str(path.relative_to(folder)), path.read_bytes()) for path in files],
    )


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def said(*calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"tool_calls": list(calls), **fields}


def edit(old: str, new: str, path: str = "parking/tariff.py") -> dict[str, Any]:
    return call("editFile", path=path, edits=[{"oldText": old, "newText": new}])


def review(accept: bool, why: str = "right", score: float = 9) -> dict[str, Any]:
    scores = dict.fromkeys(("addressesIssue", "safeForCallers", "minimal", "honest"), score)
    return call("finish", accept=accept, scores=scores, rationale=why)


TESTER = [
    said(call("runTests")),
    said(call("finish", summary="two tests fail", failingTests=FAILING, reproduced=True)),
]
CODER = [
    said(
        call("search", query="hours_begun"),
        call("readFile", path="parking/tariff.py"),
        content="Where is it?",
    ),
    said(edit(WRONG, RIGHT)),
    said(call("runTests")),
    said(call("finish", summary="ceiling division")),
]
CRITIC = [said(call("diff")), said(review(True))]


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """A scripted model: turns by scope pattern. Returns the model's name."""

    def write(**turns: list[dict[str, Any]]) -> str:
        patterns = {
            "tester": "run/tester/*",
            "coder": "*/coder/*",
            "debugger": "*/debugger/*",
            "critic": "*/critic/*",
            "single": "*/single/*",
        }
        full = {"tester": TESTER, "coder": CODER, "critic": CRITIC, **turns}
        path = tmp_path / "script.json"
        path.write_text(
            json.dumps({"turns": {patterns.get(name, name): steps for name, steps in full.items()}})
        )
        return f"scripted/{path}"

    return write


def events(run: Path, type: str | None = None) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [line for line in lines if type is None or line["type"] == type]
