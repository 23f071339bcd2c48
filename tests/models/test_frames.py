"""How far it is from a role's turn to the SDK, and what importing the package changes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from models.looping import client_on
from servers.model_server import ModelServer

from swe_agent.agents.loop import RoleAgent
from swe_agent.agents.models.imports import openai

ROOT = Path(__file__).resolve().parents[2] / "agents"


class NoTools:
    """A toolbox without tools."""

    schemas: tuple[()] = ()
    tools: dict[str, object] = {}  # noqa: RUF012


def test_at_most_six_frames_of_ours_from_a_turn_to_the_sdk() -> None:
    frames: list[str] = []

    class Seen(BaseException):
        pass

    def hook(request: object) -> None:
        for frame, _ in traceback.walk_stack(None):
            if frame.f_code.co_filename.startswith(str(ROOT)):
                frames.append(frame.f_code.co_qualname)
        raise Seen

    async def run(base: str) -> None:
        client = client_on(base)
        wire = client._core.endpoints[0].wire  # the SDK's client is where the way ends
        sdk = wire._client(None)  # type: ignore[attr-defined]
        sdk._client.event_hooks = {"request": [_async(hook)], "response": []}
        agent = RoleAgent("coder", client, NoTools(), system="Work.", scope="n0/coder/0")  # type: ignore[arg-type]
        await agent.turn("Fix it.")

    def _async(call):  # type: ignore[no-untyped-def]
        async def called(request: object) -> None:
            call(request)

        return called

    openai()
    with ModelServer([{"content": "ok"}]) as server, pytest.raises(Seen):
        asyncio.run(run(server.base))
    assert frames[-1] == "RoleAgent.turn"
    assert len(frames) <= 6, frames


def test_importing_the_package_leaves_imports_as_they_are() -> None:
    code = (
        "import sys; before = list(sys.meta_path); import swe_agent.agents.loop, swe_agent.agents.models.client;"
        " assert sys.meta_path == before, sys.meta_path"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
