"""Killed in the middle of a check: the resumed run carries out what was planned, and says the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swe_agent.orchestrator.record.events import CheckPlanned

from .conftest import RIGHT, WRONG, Done, call, edit, events, git, said

Run = Callable[..., Done]
ISSUE = "A stay that ends exactly on the hour is charged one hour too many: see hours_begun in tariff.py"
TURNS = [said(edit(WRONG, RIGHT)), said(call("finish", summary="ceiling division"))]
SLOW = "import time\n\ndef test_far():\n    time.sleep(2)\n" + "".join(
    f"\ndef test_{n}():\n    assert {n} >= 0\n" for n in range(320)
)


def _verdict(run: Path) -> dict[str, Any]:
    result = json.loads((run / "run.json").read_text())["result"]
    return {
        name: result[name] for name in ("ending", "verified", "fixed", "broken", "still_failing", "evidence")
    }


def _plans(run: Path) -> list[tuple[str, Any]]:
    return [(e["check"], e["parts"]) for e in events(run, CheckPlanned.type)]


@pytest.mark.parametrize("checks", [1, 2])
def test_killed_in_a_check(
    checks: int,
    swe_agent: Run,
    command: list[str],
    environment: dict[str, str],
    parking: Path,
    script: Callable[..., str],
    tmp_path: Path,
    cache: Path,
) -> None:
    """1: the candidate's check; 2: the final one."""
    (parking / "tests/test_slow.py").write_text(SLOW)
    git(parking, "add", "-A")
    git(parking, "commit", "-qm", "more tests than are run whole")
    flags = ("--text", ISSUE, "--repo", parking, "--roles", "single", "--model", script(single=TURNS), "-q")
    whole, run = tmp_path / "whole", tmp_path / "killed"
    assert swe_agent("solve", *flags, "--output", whole).code == 0
    shutil.rmtree(cache / "base")  # what the first run learned would be known to the second
    began = [*command, "solve", *map(str, flags), "--output", str(run)]
    with subprocess.Popen(began, env=environment, stderr=subprocess.PIPE, text=True) as process:
        _wait(run / "events.jsonl", checks, process)
        process.kill()
    planned = _plans(run)
    assert len(planned) == checks
    assert swe_agent("solve", "--resume", run, "-q").code == 0
    assert _plans(run)[:checks] == planned
    assert _plans(run) == _plans(whole)
    assert _verdict(run) == _verdict(whole)
    assert "tests/test_tariff.py" in _verdict(run)["evidence"]["files_run"]


def _wait(log: Path, checks: int, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        if log.exists() and log.read_text().count(f'"type":"{CheckPlanned.type}"') >= checks:
            time.sleep(0.7)  # in the middle of it
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("no check was planned")
