"""The protocol's own client drives whole solves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

acp = pytest.importorskip("acp")
schema = pytest.importorskip("acp.schema")

pytestmark = pytest.mark.anyio
ISSUE = "charge() is one hour too high for stays that end on the hour"


@dataclass(eq=False)
class Editor(acp.Client):
    """Keeps what it is told and answers permission requests with `choice`."""

    choice: str = "keep"
    updates: list[Any] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    async def session_update(self, session_id: str, update: Any, **kwargs: Any) -> None:
        self.updates.append(update)

    async def request_permission(self, session_id: str, tool_call: Any, options: Any, **kwargs: Any) -> Any:
        self.asked.append(tool_call)
        return schema.RequestPermissionResponse(
            outcome=schema.AllowedOutcome(outcome="selected", option_id=self.choice)
        )

    def of(self, kind: str) -> list[Any]:
        return [update for update in self.updates if update.session_update == kind]

    @property
    def text(self) -> str:
        return "".join(update.content.text for update in self.of("agent_message_chunk"))


@asynccontextmanager
async def connected(editor: Editor, environment: dict[str, str]) -> AsyncIterator[Any]:
    command = [sys.executable, "-m", "swe_agent", "acp"]
    async with acp.spawn_agent_process(editor, command[0], *command[1:], env=environment) as (connection, _):
        await connection.initialize(protocol_version=1)
        yield connection


def changed(checkout: Path) -> str:
    return subprocess.run(
        ["git", "status", "--porcelain"], cwd=checkout, check=True, capture_output=True, text=True
    ).stdout


async def test_a_whole_solve(environment: dict[str, str], parking: Path) -> None:
    """Plan, tool calls, the diff; refused the checkout stays as it was, granted it has the patch; the session
    outlives the server."""
    editor = Editor()
    async with connected(editor, environment) as connection:
        session = await connection.new_session(cwd=str(parking), mcp_servers=[])
        assert [mode.id for mode in session.modes.available_modes] == ["fix", "review"]
        done = await connection.prompt(session_id=session.session_id, prompt=[acp.text_block(ISSUE)])
        assert done.stop_reason == "end_turn"
        assert [entry.status for entry in editor.of("plan")[-1].entries] == ["completed"] * 4
        calls = editor.of("tool_call")
        assert {"execute", "think"} <= {call.kind for call in calls}
        ended = {call.tool_call_id for call in editor.of("tool_call_update")}
        assert {call.tool_call_id for call in calls if call.status == "in_progress"} <= ended
        (diff,) = [part for call in calls for part in call.content or [] if part.type == "diff"]
        assert diff.old_text != diff.new_text
        assert len(editor.asked) == 1
        assert changed(parking) == ""
        assert "Not applied" in editor.text

    later = Editor(choice="apply")
    async with connected(later, environment) as connection:
        found = await connection.list_sessions(cwd=str(parking))
        assert [item.session_id for item in found.sessions] == [session.session_id]
        await connection.load_session(cwd=str(parking), session_id=session.session_id, mcp_servers=[])
        assert later.of("user_message_chunk")[0].content.text == ISSUE
        assert "Not applied" in later.text
        # a follow-up starts from the patch; nothing is left to mend there, and the checkout stays as it was
        await connection.prompt(session_id=session.session_id, prompt=[acp.text_block("also handle None")])
        assert "no patch" in later.text
        assert changed(parking) == ""


async def test_granted_the_checkout_has_the_patch(environment: dict[str, str], parking: Path) -> None:
    editor = Editor(choice="apply")
    async with connected(editor, environment) as connection:
        session = await connection.new_session(cwd=str(parking), mcp_servers=[])
        await connection.prompt(session_id=session.session_id, prompt=[acp.text_block(ISSUE)])
    assert changed(parking).startswith(" M parking/")


async def test_cancelled_within_a_second_and_gone_on_with(environment: dict[str, str], parking: Path) -> None:
    editor = Editor()
    async with connected(editor, environment) as connection:
        session = await connection.new_session(cwd=str(parking), mcp_servers=[])
        id = session.session_id
        await connection.set_session_mode(session_id=id, mode_id="review")
        running = asyncio.ensure_future(connection.prompt(session_id=id, prompt=[acp.text_block(ISSUE)]))
        while not editor.of("plan"):
            await asyncio.sleep(0.05)
        before = time.monotonic()
        await connection.cancel(session_id=id)
        assert (await running).stop_reason == "cancelled"
        assert time.monotonic() - before < 1
        for _ in range(100):  # the run is stopping; its lock is free within seconds
            done = await connection.prompt(session_id=id, prompt=[acp.text_block("continue")])
            if "another process" not in editor.text:
                break
            editor.updates.clear()
            await asyncio.sleep(0.1)
        assert done.stop_reason == "end_turn"
        assert any(part.type == "diff" for call in editor.of("tool_call") for part in call.content or [])
        assert editor.asked == []
        assert changed(parking) == ""


async def test_mistakes_are_answered(environment: dict[str, str], tmp_path: Path) -> None:
    async with connected(Editor(), environment) as connection:
        for wrong in (
            connection.new_session(cwd=str(tmp_path / "nowhere"), mcp_servers=[]),
            connection.prompt(session_id="../../etc", prompt=[acp.text_block("x")]),
            connection.load_session(cwd=str(tmp_path), session_id="0" * 32, mcp_servers=[]),
        ):
            with pytest.raises(acp.RequestError):
                await wrong
