"""kill -9 after every event of a recorded search, then resume: same result, no call paid twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swe_agent.orchestrator.record.log import read_events

from .toy import go

TOY = Path(__file__).parent / "toy.py"
NEVER = 10**9


def run(path: Path, kill_at: int, workers: int) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, str(TOY), str(path), str(kill_at), str(workers)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def here(path: Path) -> Any:
    """Resume in this process."""
    return json.loads(json.dumps(go(path, NEVER, 2)))


@pytest.mark.slow
def test_killed_after_every_event_and_resumed(tmp_path: Path) -> None:
    code, whole = run(tmp_path / "whole.jsonl", NEVER, 2)
    assert code == 0
    events = len(list(read_events(tmp_path / "whole.jsonl")))
    assert events > 40
    for at in range(events):
        path = tmp_path / f"{at}.jsonl"
        code, _ = run(path, at, 2)
        assert code == -signal.SIGKILL
        assert here(path) == whole, f"killed after event {at}"
        paid = [event["scope"] for event in read_events(path) if event["type"] == "paid"]
        assert len(paid) == len(set(paid))


def test_killed_again_and_again_and_cut_in_the_middle_of_a_line(tmp_path: Path) -> None:
    _, whole = run(tmp_path / "whole.jsonl", NEVER, 1)
    path = tmp_path / "run.jsonl"
    for at in range(3, 60, 9):
        run(path, at, 1)
        with path.open("ab") as file:
            file.write(b'{"seq": 99, "type": "node_fin')
    code, resumed = run(path, NEVER, 1)
    assert (code, resumed) == (0, whole)
