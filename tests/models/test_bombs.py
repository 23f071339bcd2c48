"""An endpoint's answer has a size, zipped or not, and a depth."""

from __future__ import annotations

import asyncio
import gzip
import json
import time

import pytest
from servers.odd_server import saying

from swe_agent.agents.message import user
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.models.failures import WireError
from swe_agent.agents.models.openai_answer import read_completion
from swe_agent.tools.errors import ModelError


def ask(url: str) -> str:
    async def once() -> str:
        client = make_client(
            "openai/scripted",
            options=ModelOptions(api_base=f"{url}/v1", timeout_s=20),
        )
        try:
            return (await client.sample([user("x")])).message.content
        finally:
            await client.close()

    return asyncio.run(once())


def test_a_zipped_answer_has_a_size() -> None:
    bomb = gzip.compress(b" " * (1 << 30), 9)
    started = time.monotonic()
    with (
        saying(bomb, ("Content-Encoding", "gzip")) as url,
        pytest.raises(ModelError, match="larger than 64 MiB"),
    ):
        ask(url)
    assert time.monotonic() - started < 30


def test_a_zipped_answer_is_read() -> None:
    body = {"choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}
    with saying(gzip.compress(json.dumps(body).encode()), ("Content-Encoding", "gzip")) as url:
        assert ask(url) == "hello"


@pytest.mark.parametrize("depth", [200, 900, 100_000])
def test_an_answer_nested_without_end_is_no_answer(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    body = '{"choices":[{"message":{"content":"x","thinking_blocks":[' + deep + "]}}]}"
    with pytest.raises(WireError):
        read_completion(body.encode())
