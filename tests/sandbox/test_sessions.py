"""Sessions: processes that outlive commands, in every kind of sandbox that has them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import Sandbox

Opener = Callable[..., Sandbox]
ECHO = "(setsid sleep 1000 &); while read -r line; do printf 'got %s\\n' \"$line\"; done"


def test_lines_go_in_and_come_out_and_nothing_outlives_it(opener: Opener, walled: str) -> None:
    sandbox = opener(walled)
    session = sandbox.open_session(["sh", "-c", f"cat >&2 run.sh; {ECHO}"], env={"NAME": "x y"})
    for line in (b"a", b"b  c", b"", b"\xff'$(exit)"):
        session.send(line)
        assert session.receive(20) == b"got " + line
    long = b"x" * 3_000_000
    session.send(long)
    assert session.receive(60) == b"got " + long
    with pytest.raises(TimeoutError):
        session.receive(0.1)
    session.close()
    session.close()
    assert sandbox.exec("grep -l sleep /proc/[0-9]*/comm 2>/dev/null | wc -l").output.strip() == "0"
    assert sandbox.exec("cat run.sh").output == "#!/bin/sh\necho ran\n"


def test_one_that_ends_or_cannot_start_says_so(opener: Opener, walled: str) -> None:
    sandbox = opener(walled)
    session = sandbox.open_session(
        ["sh", "-c", "echo $HERE; pwd; echo; exit 3"], cwd="pkg", env={"HERE": "1 2"}
    )
    assert session.receive(20) == b"1 2"
    assert session.receive(20).endswith(b"/pkg")
    assert session.receive(20) == b""
    with pytest.raises(SandboxError, match="ended"):
        session.receive(20)
    with pytest.raises(SandboxError):
        session.receive(20)
    session.close()
    with pytest.raises(SandboxError, match="no-such-program"):
        sandbox.open_session(["no-such-program"])
    assert sandbox.exec("echo next").output == "next\n"


def test_two_one_after_the_other_and_a_fork_afterwards(opener: Opener, walled: str) -> None:
    sandbox = opener(walled)
    for number in (b"1", b"2"):
        session = sandbox.open_session(
            ["sh", "-c", "while read -r line; do echo $line >> kept; echo ok; done"]
        )
        session.send(number)
        assert session.receive(20) == b"ok"
        session.close()
    with sandbox.fork() as child:
        assert child.read_bytes("kept") == b"1\n2\n"


def test_closing_the_sandbox_ends_it(opener: Opener, walled: str) -> None:
    sandbox = opener(walled)
    session = sandbox.open_session(["sh", "-c", ECHO])
    sandbox.close()
    with pytest.raises(SandboxError):
        session.receive(20)
    session.close()


@pytest.mark.docker
def test_a_container_does_nothing_else_meanwhile(opener: Opener) -> None:
    sandbox = opener("docker")
    session = sandbox.open_session(["sh", "-c", ECHO])
    for action in (lambda: sandbox.exec("true"), sandbox.fork, lambda: sandbox.read_bytes("run.sh")):
        with pytest.raises(SandboxError, match="session is open"):
            action()
    session.send(b"still")
    assert session.receive(20) == b"got still"
    session.close()
    assert sandbox.exec("echo next").output == "next\n"
