"""Clients of both eras list and call every tool."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")
from mcp import Client, StdioServerParameters, stdio_client

pytestmark = pytest.mark.anyio
TOOLS = ["solve", "verify_patch", "run_tests", "search_code", "run_status", "run_report"]
ISSUE = "charge() is one hour too high for stays that end on the hour"
WRONG = "return minutes // MINUTES_PER_HOUR + 1"


@asynccontextmanager
async def client(
    environment: dict[str, str], parking: Path, mode: str, *, over: str = "stdio", flags: Sequence[str] = ()
) -> AsyncIterator[Any]:
    """`over` stdio, or http: streamable HTTP on a free port of loopback."""
    command = ["-m", "swe_agent", "mcp", "--repo", str(parking)]
    if over == "stdio":
        arguments = [*command, "--", *flags] if flags else command
        transport = stdio_client(
            StdioServerParameters(command=sys.executable, args=arguments, env=environment)
        )
        async with Client(transport, mode=mode) as found:
            yield found
        return
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--port", str(port), env=environment
    )
    try:
        await listening(port)
        async with Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as found:
            yield found
    finally:
        server.terminate()
        await server.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


async def listening(port: int) -> None:
    for _ in range(300):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the server does not listen")


def answer(result: Any) -> Any:
    assert not result.is_error, result
    text = result.content[0].text
    return json.loads(text) if text.startswith("{") else text


@pytest.mark.parametrize(("mode", "over"), [("legacy", "stdio"), ("2026-07-28", "http")])
async def test_both_eras_list_and_call_everything(
    environment: dict[str, str], parking: Path, mode: str, over: str
) -> None:
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async with client(environment, parking, mode, over=over) as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == TOOLS
        found = answer(await session.call_tool("search_code", {"query": "hours_begun"}))
        assert "tariff.py" in found or "clock.py" in found
        before = answer(await session.call_tool("run_tests", {}))
        assert re.search(r"2 failed|failed: 2|2 fail", before), before
        solved = answer(await session.call_tool("solve", {"issue": ISSUE}, progress_callback=hear))
        assert solved["exit_code"] == 0
        assert heard, "long work says how it goes"
        after = answer(await session.call_tool("run_tests", {"patch": solved["patch"]}))
        assert after != before
        verdict = answer(await session.call_tool("verify_patch", {"patch": solved["patch"]}))
        assert (verdict["exit_code"], len(verdict["broken"])) == (0, 0)
        assert verdict == by_command(environment, parking, solved["patch"])
        assert answer(await session.call_tool("run_status", {}))["finished"] is True
        assert "red before, green after: 2" in answer(await session.call_tool("run_report", {}))
        assert (await session.call_tool("verify_patch", {"patch": "no patch"})).is_error
        missing = await session.call_tool("run_status", {"run": "nowhere"})
        assert missing.is_error
        assert "nowhere" in missing.content[0].text


def by_command(environment: dict[str, str], parking: Path, patch: str) -> Any:
    """The verdict of `swe-agent verify`."""
    command = [sys.executable, "-m", "swe_agent", "verify", "--patch", "-", "--repo", str(parking), "--json"]
    done = subprocess.run(command, input=patch, capture_output=True, text=True, env=environment, check=False)
    return json.loads(done.stdout)


async def test_flags_of_the_server_reach_every_solve(environment: dict[str, str], parking: Path) -> None:
    async with client(environment, parking, "auto", flags=["--search", "sideways"]) as session:
        refused = await session.call_tool("solve", {"issue": ISSUE})
        assert refused.is_error
        assert "sideways" in refused.content[0].text
