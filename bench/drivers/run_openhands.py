"""OpenHands SDK: an agent with its terminal tool, no visualizer, as its hello-world sets it up."""

from __future__ import annotations

import os
import sys

os.environ["OPENHANDS_SUPPRESS_BANNER"] = "1"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from openhands.sdk import LLM, Agent, Conversation, Tool
from openhands.tools.terminal import TerminalTool
from pydantic import SecretStr

base, repo, folder, steps = sys.argv[1:]
llm = LLM(model="openai/scripted", base_url=base, api_key=SecretStr("none"), usage_id="bench", num_retries=0)
agent = Agent(llm=llm, tools=[Tool(name=TerminalTool.name)])
conversation = Conversation(
    agent=agent,
    workspace=repo,
    persistence_dir=f"{folder}/conversation",
    visualizer=None,
    max_iteration_per_run=int(steps) + 5,
)
conversation.send_message("add subtracts")
conversation.run()
