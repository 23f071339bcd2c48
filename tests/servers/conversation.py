"""A tool loop against a scripted endpoint: what tests of different wires share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from servers.model_server import ModelServer, Received

from swe_agent.agents.models.calls import ModelOptions, Sampling
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.models.results import SampledResult

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
START: list[LLMMessage] = [
    SystemMessage(content="You are the coder."),
    UserMessage(content="Fix it.", source="user"),
]
READ = {"name": "readFile", "arguments": {"path": "a.py"}, "id": "call_a"}


def answered(result: SampledResult) -> list[LLMMessage]:
    """The sampled message and the results of its calls, as a role's loop appends them."""
    said: list[LLMMessage] = [
        AssistantMessage(content=result.content, thought=result.thought, source="coder")
    ]
    calls = result.content if isinstance(result.content, list) else []
    if calls:
        results = [
            FunctionExecutionResult(content="x = 1", name=call.name, call_id=call.id, is_error=False)
            for call in calls
        ]
        said.append(FunctionExecutionResultMessage(content=results))
    return said


def converse(
    model: str,
    replies: Sequence[Any],
    *,
    steps: int = 2,
    sampling: Sampling = Sampling(),  # noqa: B008
    origin: bool = False,
    **options: Any,
) -> tuple[list[SampledResult], list[Received]]:
    """A tool loop of `steps` calls. Returns the results and the requests."""

    async def run(base: str) -> list[SampledResult]:
        client = make_client(
            model,
            sampling=sampling,
            options=ModelOptions(api_base=base, max_retry_s=1.0, timeout_s=20, **options),
        )
        messages = list(START)
        results = []
        for _ in range(steps):
            result = await client.create(messages, tools=TOOLS)
            results.append(result)
            messages += answered(result)
        await client.close()
        return results

    with ModelServer(replies) as server:
        results = asyncio.run(run(server.origin if origin else server.base))
        return results, server.calls
