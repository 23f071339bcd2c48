"""A client on a scripted endpoint, and a tool loop over it."""

from __future__ import annotations

from typing import Any

from swe_agent.agents.message import Message, system, tool_result, user
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.client import ModelClient
from swe_agent.agents.models.factory import make_client

TOOLS: Any = [
    {"type": "function", "function": {"name": "look", "description": "", "parameters": {"type": "object"}}}
]
START: list[Message] = [system("You look."), user("Look.")]


def client_on(base: str, *, model: str = "openai/m", journal: Any = None, **more: Any) -> ModelClient:
    options = ModelOptions(api_base=base, max_retry_s=1.0, **more.pop("options", {}))
    return make_client(model, options=options, scope="n0/coder/0", journal=journal, observer=journal, **more)


async def loop(client: ModelClient, steps: int, *, close: bool = True) -> list[dict[str, Any]]:
    """A tool loop. Returns the responses."""
    messages = list(START)
    found = []
    for _ in range(steps):
        result = await client.sample(messages, tools=TOOLS)
        found.append(dict(result.call.response))
        messages.append(result.message)
        messages += [tool_result(call, "seen") for call in result.message.tool_calls]
    if close:
        await client.close()
    return found


REPLIES = [
    {
        "content": "I look.",
        "reasoning_content": "hm",
        "tool_calls": [{"name": "look", "arguments": {"at": i}}],
    }
    for i in range(3)
] + [{"content": "Done."}]
