"""SWE-agent (1.x) through its own command on the local deployment."""

from __future__ import annotations

import os
import sys

base, repo, folder, steps = sys.argv[1:]
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from sweagent.run.run import main  # noqa: E402 - reads the environment when imported

main(
    [
        "run",
        "--agent.model.name=openai/scripted",
        f"--agent.model.api_base={base}",
        "--agent.model.api_key=none",
        "--agent.model.per_instance_cost_limit=0",
        "--agent.model.total_cost_limit=0",
        f"--agent.model.per_instance_call_limit={int(steps) + 5}",
        "--env.deployment.type=local",
        "--env.repo.type=preexisting",
        f"--env.repo.repo_name={repo.lstrip('/')}",
        "--problem_statement.text=add subtracts",
        f"--output_dir={folder}/trajectories",
    ]
)
