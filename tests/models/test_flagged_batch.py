"""A night's batch goes on past flagged prompts, failing providers and a window."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from servers.model_server import ModelServer, Received

EDIT = {"path": "calc.py", "edits": [{"oldText": "(len(v) + 1)", "newText": "len(v)"}]}
FLAGGED, FAILING, LONG = {3, 8, 13}, {5, 16}, {10}
ENDED = {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "error"}]}


def git(at: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments]
    return subprocess.run(command, cwd=at, check=True, capture_output=True, text=True).stdout.strip()


def dataset(home: Path, count: int) -> None:
    source = home / "source"
    (source / "tests").mkdir(parents=True)
    (source / "calc.py").write_text("def mean(v):\n    return sum(v) / (len(v) + 1)\n")
    (source / "tests/__init__.py").write_text("")
    (source / "tests/test_calc.py").write_text(
        "import unittest\nfrom calc import mean\n\nclass Mean(unittest.TestCase):\n"
        "    def test_two(self):\n        self.assertEqual(mean([2, 4]), 3)\n"
    )
    git(source, "init", "-q", "-b", "main")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "base")
    (home / "mirrors").mkdir()
    git(home, "clone", "-q", "--bare", str(source), str(home / "mirrors/acme+calc"))
    row = {
        "repo": "acme/calc", "base_commit": git(source, "rev-parse", "HEAD"), "patch": "", "test_patch": "",
        "version": "1", "created_at": "2024-06-01T00:00:00Z", "FAIL_TO_PASS": "[]", "PASS_TO_PASS": "[]",
    }  # fmt: skip
    lines = [
        json.dumps(
            {**row, "instance_id": f"acme__calc-{n}", "problem_statement": f"mean is wrong (case {n}.)"}
        )
        for n in range(count)
    ]
    (home / "data.jsonl").write_text("\n".join(lines) + "\n")


class Night:
    """The endpoint."""

    def __init__(self) -> None:
        self.failed: dict[int, int] = {}

    def __call__(self, request: Received) -> Mapping[str, Any]:
        text = json.dumps(request.body["messages"])
        case = next((n for n in range(20) if f"(case {n}.)" in text), -1)
        tools = sum(message["role"] == "tool" for message in request.body["messages"])
        if case in FLAGGED:
            return {"status": 403, "message": "m requires moderation. Your input was flagged"}
        if case in FAILING and self.failed.setdefault(case, 0) < 2:
            self.failed[case] += 1
            return {"raw": ENDED}
        if case in LONG and tools and self.failed.setdefault(case, 0) < 1:
            self.failed[case] += 1
            return {"status": 400, "message": "Range of input length should be [1, 30720]"}
        edited = "editFile" in text.partition('"role": "assistant"')[2] or (
            case in self.failed and tools == 0 and case in LONG
        )
        call = (
            {"name": "finish", "arguments": {"summary": "d"}}
            if edited
            else {"name": "editFile", "arguments": EDIT}
        )
        return {"tool_calls": [call]}


def test_flagged_prompts_and_failing_providers_cost_their_own_instances(tmp_path: Path) -> None:
    dataset(tmp_path, 20)
    with ModelServer(Night()) as server:
        command = [
            sys.executable, "-m", "swe_agent", "batch", "--dataset", str(tmp_path / "data.jsonl"),
            "--repo-mirror", str(tmp_path / "mirrors"), "--environment", "repository", "--sandbox", "plain",
            "--output", str(tmp_path / "out"), "--model", "openai/m", "--api-base", server.base,
            "--roles", "single", "--test-cmd", "python3 -m unittest -v", "--retries", "0", "--workers", "2",
        ]  # fmt: skip
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 9, done.stderr[-2000:]
    predictions = json.loads((tmp_path / "out/preds.json").read_text())
    assert len(predictions) == 17
    assert all("len(v)" in prediction["model_patch"] for prediction in predictions.values())
    assert not {f"acme__calc-{n}" for n in FLAGGED} & set(predictions)
    assert "refused the API key" not in done.stderr
    assert "flagged" in done.stderr + done.stdout
