"""Processes of this one: what it started, directly or not, and commands that end with it.

Run as a program this file is a keeper: `processes.py PARENT COMMAND...` runs the command, adopts what it
leaves behind, and when PARENT dies, by whatever signal, everything below it dies too (prctl(2):
PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def run_kept(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: IO[bytes], timeout: float
) -> int:
    """Run `command` to its end, with both outputs to `output`. Whatever it started ends with it, after
    `timeout` seconds, and with this process. Returns its exit code (128 + N for signal N). Raises:
    subprocess.TimeoutExpired, OSError."""
    keeper = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid()), *command]
    with subprocess.Popen(
        keeper, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
    ) as process:
        try:
            return process.wait(timeout)
        except BaseException:
            process.terminate()
            raise


def kill_descendants() -> None:
    """Kill every process below this one. For the end of a process whose threads may be waiting for builds and
    tests. Stopped first, none can start another while the rest is killed."""
    for _ in range(5):
        below = descendants(os.getpid())
        if not below:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in below:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """Living processes below `pid`, parents before children; [] where /proc does not tell."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    pending = [pid]
    while pending:
        below = children.get(pending.pop(0), [])
        found += below
        pending += below
    return found


def _keep(parent: int, command: Sequence[str]) -> NoReturn:
    import ctypes

    def end(number: int, frame: object) -> NoReturn:
        kill_descendants()
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    with contextlib.suppress(AttributeError):  # Linux alone has it
        control = ctypes.CDLL(None).prctl
        control(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        control(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before it could be watched
        os._exit(128 + signal.SIGTERM)
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        print(error, file=sys.stderr)
        os._exit(127)
    code = process.wait()
    kill_descendants()
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    _keep(int(sys.argv[1]), sys.argv[2:])
