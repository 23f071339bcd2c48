"""smolagents' ToolCallingAgent with one shell tool over OpenAIServerModel."""

from __future__ import annotations

import subprocess
import sys

from smolagents import LogLevel, OpenAIServerModel, ToolCallingAgent, tool

base, repo, folder, steps = sys.argv[1:]


@tool
def shell(command: str) -> str:
    """Run a command.

    Args:
        command: The command line.
    """
    return subprocess.run(command, shell=True, capture_output=True, text=True, cwd=repo).stdout


model = OpenAIServerModel("scripted", api_base=base, api_key="none")
agent = ToolCallingAgent(tools=[shell], model=model, max_steps=int(steps) + 5, verbosity_level=LogLevel.OFF)
agent.run("add subtracts")
