"""A command that reaches for the shell which runs it is the command's own misfortune."""

from __future__ import annotations

import pytest

from swe_agent.tools.sandbox import Sandbox


@pytest.mark.parametrize(
    "command",
    [
        "echo > /proc/1/fd/0",
        "echo exit > /proc/1/fd/0",
        "timeout 1 cat /proc/1/fd/0",
        "echo 'printf() { :; }; wait() { exit; }' > /proc/1/fd/0",
        "echo x > /proc/1/fd/1",
        "kill -9 1; kill -USR1 1; kill -TERM 1",
    ],
)
def test_the_next_command_works(box: Sandbox, command: str) -> None:
    box.write_bytes("kept.txt", b"kept\n")
    box.exec(command, timeout=10)
    for _ in range(2):
        done = box.exec("cat kept.txt", timeout=30)
    assert done.output == "kept\n"
