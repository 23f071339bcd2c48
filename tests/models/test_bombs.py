"""An endpoint's answer has a size, zipped or not, and a depth."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from pathlib import Path

import pytest
from servers.odd_server import saying

from swe_agent.agents.message import user
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.models.failures import WireError
from swe_agent.agents.models.openai_answer import read_completion
from swe_agent.tools.errors import ModelError

LIKE = """
from autogen_core.models import ChatCompletionClient

class Base(ChatCompletionClient):
    async def create(self, messages, **named):
        return await self._client.chat.completions.create(model="x", messages=[{"role": "user", "content": "x"}])

    def create_stream(self, *arguments, **named): ...
    async def close(self): await self._client.close()
    def actual_usage(self): ...
    def total_usage(self): ...
    def count_tokens(self, messages, **named): return 0
    def remaining_tokens(self, messages, **named): return 1000
    capabilities = property(lambda self: {})
    model_info = property(lambda self: {})
"""


def peak() -> int:
    """KiB that this process has had at once."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def ask(url: str, model: str = "openai/scripted", base: str = "/v1") -> str:
    async def once() -> str:
        client = make_client(
            model, options=ModelOptions(api_base=f"{url}{base}", timeout_s=20, max_retry_s=1)
        )
        try:
            return (await client.sample([user("x")])).message.content
        finally:
            await client.close()

    return asyncio.run(once())


@pytest.mark.parametrize(
    ("model", "base"),
    [("openai/scripted", "/v1"), ("anthropic/claude-sonnet-4-5", ""), ("ollama_chat/x", "")],
)
def test_a_zipped_answer_has_a_size(model: str, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-123456")
    bomb = gzip.compress(b" " * (1 << 30), 9)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = peak()
    started = time.monotonic()
    with (
        saying(bomb, ("Content-Encoding", "gzip")) as url,
        pytest.raises(ModelError, match="larger than 64 MiB"),
    ):
        ask(url, model, base)
    assert time.monotonic() - started < 60
    assert peak() - before < 512 << 10  # KiB


def test_the_client_inside_an_autogen_client_has_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of `autogen-ext` are made: an SDK's client in `_client`, and its own in that."""
    monkeypatch.syspath_prepend(tmp_path)
    bomb = gzip.compress(b" " * (1 << 30), 9)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = peak()
    with saying(bomb, ("Content-Encoding", "gzip")) as url:
        (tmp_path / "bombed.py").write_text(
            "from openai import AsyncOpenAI\nfrom autogen_ext_like import Base\n"
            f"class Made(Base):\n    def __init__(self):\n        self._client = AsyncOpenAI(api_key='x', base_url={url!r}, max_retries=0)\n"
        )
        (tmp_path / "autogen_ext_like.py").write_text(LIKE)
        with pytest.raises(ModelError, match=r"APIConnectionError|larger than 64 MiB"):
            ask(url, "autogen/bombed:Made")
    assert peak() - before < 512 << 10  # KiB


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
