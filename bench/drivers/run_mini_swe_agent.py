"""mini-swe-agent as its own command sets it up: LitellmModel, LocalEnvironment, mini.yaml."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["MSWEA_SILENT_STARTUP"] = "1"
os.environ["MSWEA_COST_TRACKING"] = "ignore_errors"

import yaml
from minisweagent import package_dir
from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.local import LocalEnvironment
from minisweagent.models.litellm_model import LitellmModel

base, repo, folder, steps = sys.argv[1:]
config = yaml.safe_load((Path(package_dir) / "config" / "mini.yaml").read_text())
settings = {
    k: v for k, v in config["agent"].items() if k not in ("mode", "confirm_exit", "whitelist_actions")
}
model = {
    k: v for k, v in config.get("model", {}).items() if k in ("observation_template", "format_error_template")
}
agent = DefaultAgent(
    LitellmModel(
        model_name="openai/scripted",
        model_kwargs={"api_base": base, "api_key": "none"},
        cost_tracking="ignore_errors",
        **model,
    ),
    LocalEnvironment(cwd=repo),
    **{**settings, "step_limit": 0, "cost_limit": 0, "output_path": Path(folder) / "trajectory.json"},
)
agent.run("add subtracts")
