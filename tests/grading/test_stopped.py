"""A stop of `eval` while it builds: nothing goes on, and nothing half-built is marked as whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lacking import no_index

from .test_native import world

__all__ = ["world"]


def _running(mark: str) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"\0" + mark.encode() + b"\0" in words and words.startswith(b"sleep"):
                found.append(int(entry.name))
    return found


def _until(condition: object, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_while_it_builds(world: dict[str, object], tmp_path: Path, number: signal.Signals) -> None:
    if why := no_index():
        pytest.skip(why)
    mark = f"{600 + os.getpid() % 1000}.{int(number)}"
    row = json.loads(json.dumps(world["row"]))
    row["instance_id"] = f"acme__calc-{int(number)}"
    # a step that waits, with a child that would outlive its shell
    row["install_config"]["pre_install"] = [f"(sleep {mark} &) ; sleep {mark}"]
    (tmp_path / "data.json").write_text(json.dumps([row]))
    command = [
        sys.executable, "-m", "swe_agent", "eval", "--dataset", str(tmp_path / "data.json"), "--predictions", "gold",
        "--repo-mirror", str(world["mirrors"]), "--output", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"),
        "--harness", "native",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        if not _until(lambda: _running(mark), 90):
            process.kill()
            pytest.fail("the build did not reach its last step")
        for _ in range(20):  # `timeout` sends it to the process, then to its group
            process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert _until(lambda: not _running(mark), 10), "what it started goes on"
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert said.splitlines()[-2:] == [
            "swe-agent: stopped while grading; the verdicts so far are kept",
            "the same command goes on",
        ]
        assert "Traceback" not in said
    assert not list((tmp_path / "cache").rglob("environment.json"))
