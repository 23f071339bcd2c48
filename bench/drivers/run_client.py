"""The model client in the smallest loop that carries out tool calls: what the layer itself costs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.factory import make_client

PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
TOOLS = [
    {"type": "function", "function": {"name": "shell", "description": "Run it.", "parameters": PARAMETERS}}
]


async def main(base: str) -> None:
    client = make_client("openai/scripted", options=ModelOptions(api_base=base), scope="n0/coder/0")
    messages: list[LLMMessage] = [
        SystemMessage(content="You solve an issue. " * 100),
        UserMessage(content="add subtracts", source="user"),
    ]
    while True:
        result = await client.create(messages, tools=TOOLS)  # type: ignore[arg-type]
        messages.append(AssistantMessage(content=result.content, thought=result.thought, source="coder"))
        if isinstance(result.content, str):
            break
        results = []
        for call in result.content:
            command = json.loads(call.arguments)["command"]
            done = subprocess.run(command, shell=True, capture_output=True, text=True)
            results.append(
                FunctionExecutionResult(content=done.stdout, name=call.name, call_id=call.id, is_error=False)
            )
        messages.append(FunctionExecutionResultMessage(content=results))
    await client.close()


asyncio.run(main(sys.argv[1]))
