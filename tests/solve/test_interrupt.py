"""What is interrupted or killed goes on, pays for nothing twice, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CODER, RIGHT, SOLVE, WRONG, Done, call, edit, events, said

Run = Callable[..., Done]


def start(command: list[str], environment: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(log: Path, words: str, process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if log.exists() and words in log.read_text():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{words!r} never came")


def processes_with(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(folder.name) != os.getpid():
            found.append(line)
    return found


@pytest.mark.parametrize(
    ("during", "number"),
    [
        ("a model call", signal.SIGINT),
        ("a tool call", signal.SIGINT),
        ("a test run", signal.SIGINT),
        ("a tool call", signal.SIGTERM),
    ],
)
def test_stopped_by_a_signal(
    during: str,
    number: signal.Signals,
    command: list[str],
    environment: dict[str, str],
    parking: Path,
    script: Callable[..., str],
    tmp_path: Path,
    swe_agent: Run,
) -> None:
    wrong = said(edit(WRONG, "return minutes // MINUTES_PER_HOUR"))
    mark = f"sleep 987{os.getpid()}"
    hang = {
        "a model call": said(call("diff"), delay_s=300),
        "a tool call": said(call("shell", command=mark)),
        "a test run": said(
            call(
                "writeFile",
                path="tests/test_slow.py",
                content="import time\ndef test_it():\n    time.sleep(300)\n",
            ),
            call("runTests", tests=["tests/test_slow.py"]),
        ),
    }[during]
    finish = said(call("finish", summary="floor"))
    turns = {"coder": [wrong, finish], "debugger": [said(call("readFile", path="README.md")), hang, finish]}
    run = tmp_path / "r"
    process = start(
        command,
        environment,
        *SOLVE,
        parking,
        "--model",
        script(**turns),
        "--output",
        run,
    )
    wait_for(run / "events.jsonl", '"arguments":{"path":"README.md"}', process)
    time.sleep(1.0)
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number, err
    assert time.monotonic() - began < 5
    assert f"swe-agent solve --resume {run}" in err
    assert "Traceback" not in err
    assert "MINUTES_PER_HOUR" in (run / "patch.diff").read_text()
    time.sleep(0.3)
    assert processes_with(mark) == []
    assert processes_with(str(run)) == []


def test_killed_anywhere_and_resumed(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    """The log cut after any event stands for kill -9 there. The resumed run ends alike, and the calls it
    makes are just those that the cut log lacks."""
    model = script()
    whole = tmp_path / "whole"
    assert swe_agent(*SOLVE, parking, "--model", model, "-q", "--output", whole).code == 0
    lines = (whole / "events.jsonl").read_text().splitlines(keepends=True)
    summary = json.loads((whole / "run.json").read_text())
    cuts = [1, len(lines) // 4, len(lines) // 2, (3 * len(lines)) // 4, len(lines) - 2]
    for cut in cuts:
        run = tmp_path / f"cut{cut}"
        run.mkdir()
        torn = lines[cut][: len(lines[cut]) // 2]
        (run / "events.jsonl").write_text("".join(lines[:cut]) + torn)
        (run / "run.json").write_text(json.dumps({**summary, "finished": False, "result": None}))
        done = swe_agent("solve", "--resume", run, "--json", "-q")
        assert done.code == 0, done.err
        assert done.json["patch"] == (whole / "patch.diff").read_text()
        made = [(e["scope"], e["index"]) for e in events(run, "call")]
        assert len(made) == len(set(made))
        assert sorted(made) == sorted((e["scope"], e["index"]) for e in events(whole, "call"))
        assert [e["id"] for e in events(run, "message")] == [e["id"] for e in events(whole, "message")]


def test_killed_for_real(
    command: list[str],
    environment: dict[str, str],
    parking: Path,
    script: Callable[..., str],
    tmp_path: Path,
    swe_agent: Run,
) -> None:
    run = tmp_path / "r"
    coder = [CODER[0], CODER[1], said(call("shell", command="sleep 2")), *CODER[2:]]
    process = start(
        command,
        environment,
        *SOLVE,
        parking,
        "--model",
        script(coder=coder),
        "--output",
        run,
    )
    wait_for(run / "events.jsonl", '"name":"editFile","arguments":{', process)
    second = swe_agent("solve", "--resume", run)
    assert second.code == 2
    assert "another process" in second.err
    process.kill()
    process.wait()
    done = swe_agent("solve", "--resume", run, "--json", "-q")
    assert done.code == 0, done.err
    assert RIGHT in done.json["patch"]
    assert swe_agent("solve", "--resume", run).code == 2
    assert processes_with(str(run)) == []


def test_the_log_says_where_it_is_damaged(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    run = tmp_path / "r"
    swe_agent(*SOLVE, parking, "--model", script(), "-q", "--output", run)
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    lines[3] = "{broken\n"
    (run / "events.jsonl").write_text("".join(lines))
    done = swe_agent("runs", "show", run, "--json")
    assert done.code == 2
    assert "line 4" in done.err
    shutil.rmtree(run)
