"""The model client in the smallest loop that carries out tool calls: what the layer itself costs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from swe_agent.agents.message import Message, system, tool_result, user
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.models.imports import install

PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
TOOLS = [
    {"type": "function", "function": {"name": "shell", "description": "Run it.", "parameters": PARAMETERS}}
]


async def main(base: str) -> None:
    client = make_client("openai/scripted", options=ModelOptions(api_base=base), scope="n0/coder/0")
    messages: list[Message] = [
        system("You solve an issue. " * 100),
        user("add subtracts"),
    ]
    while True:
        result = await client.sample(messages, tools=TOOLS)
        messages.append(result.message)
        if not result.message.tool_calls:
            break
        for call in result.message.tool_calls:
            command = json.loads(call.arguments)["command"]
            done = subprocess.run(command, shell=True, capture_output=True, text=True)
            messages.append(tool_result(call, done.stdout))
    await client.close()


install()  # as the command does at its entry
asyncio.run(main(sys.argv[1]))
