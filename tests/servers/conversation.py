"""A tool loop against a scripted endpoint: what tests of different wires share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from servers.model_server import ModelServer, Received

from swe_agent.agents.message import Message, system, tool_result, user
from swe_agent.agents.models.calls import ModelOptions, Sampling
from swe_agent.agents.models.client import Sample
from swe_agent.agents.models.factory import make_client

PARAMETERS = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "readFile", "description": "Read a file.", "parameters": PARAMETERS},
    }
]
START: list[Message] = [
    system("You are the coder."),
    user("Fix it."),
]
READ = {"name": "readFile", "arguments": {"path": "a.py"}, "id": "call_a"}


def answered(result: Sample) -> list[Message]:
    """The sampled message and the results of its calls, as a role's loop appends them."""
    results = [tool_result(call, "x = 1") for call in result.message.tool_calls]
    return [result.message, *results]


def converse(
    model: str,
    replies: Sequence[Any],
    *,
    steps: int = 2,
    sampling: Sampling = Sampling(),  # noqa: B008
    origin: bool = False,
    **options: Any,
) -> tuple[list[Sample], list[Received]]:
    """A tool loop of `steps` calls. Returns the results and the requests."""

    async def run(base: str) -> list[Sample]:
        client = make_client(
            model,
            sampling=sampling,
            options=ModelOptions(api_base=base, max_retry_s=1.0, timeout_s=20, **options),
        )
        messages = list(START)
        results = []
        for _ in range(steps):
            result = await client.sample(messages, tools=TOOLS)
            results.append(result)
            messages += answered(result)
        await client.close()
        return results

    with ModelServer(replies) as server:
        results = asyncio.run(run(server.origin if origin else server.base))
        return results, server.calls
