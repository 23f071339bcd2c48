"""Clients of both eras list and call every tool."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
async def client(environment: dict[str, str], parking: Path, mode: str) -> AsyncIterator[Any]:
    command = ["-m", "swe_agent", "mcp", "--repo", str(parking)]
    transport = stdio_client(StdioServerParameters(command=sys.executable, args=command, env=environment))
    async with Client(transport, mode=mode) as found:
        yield found


def answer(result: Any) -> Any:
    assert not result.is_error, result
    text = result.content[0].text
    return json.loads(text) if text.startswith("{") else text


async def test_everything_is_listed_and_called(environment: dict[str, str], parking: Path) -> None:
    async with client(environment, parking, "auto") as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == TOOLS
        found = answer(await session.call_tool("search_code", {"query": "hours_begun"}))
        assert "tariff.py" in found or "clock.py" in found
        before = answer(await session.call_tool("run_tests", {}))
        assert re.search(r"2 failed|failed: 2|2 fail", before), before
        solved = answer(await session.call_tool("solve", {"issue": ISSUE}))
        assert solved["exit_code"] == 0
        after = answer(await session.call_tool("run_tests", {"patch": solved["patch"]}))
        assert after != before
        verdict = answer(await session.call_tool("verify_patch", {"patch": solved["patch"]}))
        assert (verdict["exit_code"], len(verdict["broken"])) == (0, 0)
        assert answer(await session.call_tool("run_status", {}))["finished"] is True
        assert "red before, green after: 2" in answer(await session.call_tool("run_report", {}))


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_both_eras(environment: dict[str, str], parking: Path, mode: str) -> None:
    async with client(environment, parking, mode) as session:
        assert [tool.name for tool in (await session.list_tools()).tools] == TOOLS
        wrong = await session.call_tool("verify_patch", {"patch": "no patch"})
        assert wrong.is_error
        missing = await session.call_tool("run_status", {"run": "nowhere"})
        assert missing.is_error
        assert "nowhere" in missing.content[0].text
