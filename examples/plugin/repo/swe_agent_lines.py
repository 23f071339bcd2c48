"""One plug-in of each kind: a tool, a role, a model, a reward and a benchmark."""

import json

from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo, RequestUsage

from swe_agent.agents.roles import CRITIC, Role
from swe_agent.orchestrator.benchmarks.contract import Benchmark, TaskSource
from swe_agent.tools.errors import ToolError
from swe_agent.tools.toolbox.tool import ToolPlugin, ToolResult


def count_lines(workspace, arguments):
    path = arguments["path"]
    done = workspace.exec(["wc", "-l", "--", path], timeout=10)
    if done.exit_code != 0:
        raise ToolError(f"{path} cannot be counted: {done.output.strip()}")
    return ToolResult(f"{path} has {done.output.split()[0]} lines")


COUNT_LINES = ToolPlugin(
    description="Count the lines of a file.",
    parameters={
        "type": "object",
        "properties": {"path": {"type": "string", "description": "Relative to the root."}},
        "required": ["path"],
        "additionalProperties": False,
    },
    run=count_lines,
)

BRIEF_CRITIC = Role(
    "brief-critic",
    template="critic",
    tools=("diff", "countLines"),
    finish=CRITIC.finish,
    prompt="You review the patch that stands in {{ root }}. Look at it once with `diff`, then decide.",
)


class GivesUp(ChatCompletionClient):
    """A model that ends every turn without a word of work."""

    async def create(self, messages, *, tools=(), **options):
        arguments = json.dumps(
            {"summary": "I give up.", "gaveUp": True, "failingTests": [], "reproduced": False}
        )
        call = FunctionCall(id="1", name="finish", arguments=arguments)
        return CreateResult(
            finish_reason="function_calls", content=[call], usage=self.actual_usage(), cached=False
        )

    def create_stream(self, messages, **options):
        raise NotImplementedError

    async def close(self):
        pass

    def actual_usage(self):
        return RequestUsage(prompt_tokens=1, completion_tokens=1)

    total_usage = actual_usage

    def count_tokens(self, messages, **options):
        return 1

    def remaining_tokens(self, messages, **options):
        return 1000

    @property
    def model_info(self):
        return ModelInfo(
            vision=False, function_calling=True, json_output=False, family="none", structured_output=False
        )

    capabilities = model_info


def quick(measured):
    """All tests, less what the run took in hours; None where no test was run."""
    if measured.pass_rate is None:
        return None
    return {"tests": measured.pass_rate, "time": None if measured.wall_s is None else -measured.wall_s / 3600}


class OneLiners(Benchmark):
    """Lines of {"id", "prompt", "code", "test"}: a file `answer.py`, and a test that judges it."""

    name = "one-liners"

    def read(self, path):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
        return [
            TaskSource(
                row["id"],
                row["prompt"],
                files={"answer.py": row["code"]},
                hidden={"judge.py": row["test"]},
                command="python3 judge.py",
            )
            for row in rows
        ]
