"""Sessions: a process in a sandbox that outlives one command."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import Sandbox, SandboxSpec, open_sandbox

ECHO = ["sh", "-c", 'while read -r line; do echo "$line $HERE"; done']


@pytest.fixture(params=["plain", "namespace"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sandbox]:
    source = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    (source / "a.txt").write_text("text\n")
    try:
        opened = open_sandbox(request.param, SandboxSpec(source, tmp_path / "scratch"))
    except SandboxError as error:
        pytest.skip(f"no {request.param} sandbox here: {error}")
    with opened:
        yield opened


def test_lines_go_in_and_come_out(sandbox: Sandbox) -> None:
    with sandbox.fork() as fork:
        session = fork.open_session(ECHO, env={"HERE": "here"})
        for line in (b"one", "zwölf".encode(), b"x" * 300_000):
            session.send(line)
            assert session.receive(20) == line + b" here"
        with pytest.raises(TimeoutError):
            session.receive(0.2)
        session.close()
        session.close()
        with pytest.raises(SandboxError):
            session.send(b"more")


def test_it_stands_at_the_root_and_sees_the_tree(sandbox: Sandbox) -> None:
    with sandbox.fork() as fork:
        session = fork.open_session(["sh", "-c", "pwd; cat a.txt"])
        assert session.receive(20).decode() == str(fork.root)
        assert session.receive(20) == b"text"
        with pytest.raises(SandboxError):
            session.receive(20)
        session.close()


def test_nothing_is_left_of_it(sandbox: Sandbox) -> None:
    mark = f"4{time.monotonic_ns() % 10**8:08d}"
    with sandbox.fork() as fork:
        session = fork.open_session(["sh", "-c", f"sleep {mark} & echo up; sleep {mark}"])
        assert session.receive(20) == b"up"
        session.close()
        session = fork.open_session(["sh", "-c", f"sleep {mark} & echo up; sleep {mark}"])
        assert session.receive(20) == b"up"
    deadline = time.monotonic() + 20
    while _running(mark):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[:2] == [b"sleep", mark.encode()]:
                return True
        except OSError:
            continue
    return False


def test_a_program_that_does_not_exist(sandbox: Sandbox) -> None:
    with sandbox.fork() as fork:

        def start_and_listen() -> None:
            fork.open_session(["no-such-program"]).receive(20)

        with pytest.raises(SandboxError):
            start_and_listen()
