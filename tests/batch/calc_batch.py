"""A batch over a small repository that needs nothing installed, and a model on loopback that solves it.

Every instance gets a patch of its own from two model calls. `hold` stops the world at the second call of an
instance: the edit is made, nothing is submitted yet, and a test can break something.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers.model_server import ModelServer, Received

BUG = "def mean(values):\n    return sum(values) / (len(values) + 1)\n"
TESTS = """\
import unittest

from calc import mean


class Mean(unittest.TestCase):
    def test_zero(self):
        self.assertEqual(mean([0]), 0)

    def test_two(self):
        self.assertEqual(mean([2, 4]), 3)
"""
COUNT = 3
NAMES = [f"acme__calc-{number}" for number in range(COUNT)]


def git(directory: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(directory), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_repository(place: Path) -> str:
    """Returns the base commit."""
    (place / "tests").mkdir(parents=True)
    (place / "calc.py").write_text(BUG)
    (place / "tests/__init__.py").write_text("")
    (place / "tests/test_calc.py").write_text(TESTS)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "base")
    return git(place, "rev-parse", "HEAD").strip()


def write_dataset(home: Path, *, image: str | None = None) -> Path:
    """`home/data.jsonl` and, under `home/mirrors`, the repository of its rows."""
    base = write_repository(home / "source")
    (home / "mirrors").mkdir()
    git(home, "clone", "-q", "--bare", str(home / "source"), str(home / "mirrors/acme+calc"))
    rows = [
        {"repo": "acme/calc", "instance_id": name, "base_commit": base, "patch": "", "test_patch": "", "version": "1",
         "problem_statement": f"mean is wrong ({name})\n\nSee the title.", "created_at": "2024-06-01T00:00:00Z",
         "FAIL_TO_PASS": "[]", "PASS_TO_PASS": "[]", **({"image": image} if image else {})}
        for name in NAMES
    ]  # fmt: skip
    (home / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return home / "data.jsonl"


class Model:
    """The endpoint: it can go down and come back at the same address."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        """(instance, number of the call within its run), in order."""
        self.wrong_at_first: set[str] = set()
        """Instances whose first rollout makes a patch that fails the tests."""
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._held: str | None = None
        self._passing = 0
        self._server = ModelServer(self._reply).__enter__()
        self.base = self._server.base

    def hold(self, name: str, *, rollout: int = 0) -> None:
        """The second call of the next rollout (or a later one) of instance `name` sets `reached` and is
        answered after `release`."""
        self.reached.clear()
        self.go_on.clear()
        self._held, self._passing = name, rollout

    def release(self) -> None:
        self._held = None
        self.go_on.set()

    def down(self) -> None:
        self._held = None
        self._server.__exit__(None, None, None)

    def up(self) -> None:
        self._server = ModelServer(self._reply, port=self._server.port).__enter__()

    def _reply(self, request: Received) -> Mapping[str, Any]:
        messages = request.body["messages"]
        found = re.search(r"acme__calc-\d", json.dumps(messages[:2]))
        assert found is not None
        name, number = found[0], sum(message["role"] == "assistant" for message in messages)
        self.asked.append((name, number))
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        if number == 0:
            wrong = name in self.wrong_at_first and self.asked.count((name, 0)) == 1
            change = {"oldText": "(len(values) + 1)", "newText": f"len(values)  # {name}"}
            if wrong:
                change["newText"] = "(len(values) + 2)"
            edit = {"name": "editFile", "arguments": {"path": "calc.py", "edits": [change]}}
            return {"tool_calls": [edit], "usage": usage}
        finish = {"tool_calls": [{"name": "finish", "arguments": {"summary": "done"}}], "usage": usage}
        if self._held == name and number == 1:
            self._passing -= 1
            if self._passing >= 0:
                return finish
            self.reached.set()
            return {**finish, "gate": self.go_on}
        return finish


def arguments(home: Path, model: Model, output: Path) -> list[str]:
    return [sys.executable, "-m", "swe_agent", "batch", "--dataset", str(home / "data.jsonl"), "--output", str(output),
            "--model", "openai/scripted", "--api-base", model.base, "--name", "scripted", "--roles", "single",
            "--test-cmd", "python3 -m unittest -v", "--backoff", "0.2s"]  # fmt: skip


@contextmanager
def started(command: list[str], home: Path, env: Mapping[str, str] = {}) -> Iterator[subprocess.Popen[str]]:
    """The batch as a process of its own, with an environment that names no other endpoint."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "SWE_AGENT_"))
    }
    with (home / "stderr").open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=home,
            env={
                **kept,
                "CI": "true",
                "OPENAI_API_KEY": "none",
                "SWE_AGENT_CACHE": str(home / "cache"),
                **env,
            },
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def said(home: Path) -> str:
    text = (home / "stderr").read_text()
    assert "Traceback" not in text, text
    return text
