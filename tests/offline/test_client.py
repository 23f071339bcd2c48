"""The offline repair model plays the roles through the real loop, toolbox and sandbox."""

from __future__ import annotations

import asyncio
import json

import pytest
from autogen_core.models import UserMessage

from swe_agent.agents.loop import RoleAgent, TurnResult
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.offline.client import NEEDS_TEST, OfflineRepairClient
from swe_agent.agents.offline.tool import make_propose_tool
from swe_agent.agents.roles import ROLES, Role, finish_tool
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.report import Baseline
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.toolbox.toolbox import Toolbox
from swe_agent.tools.workspace import Workspace

SOURCE = '''
def clamp(value, low, high):
    """`value`, but at least `low` and at most `high`."""
    if value < low:
        return low
    if value > high:
        return low
    return value


def span(low, high):
    return high - low
'''
TESTS = """
from limits import clamp, span

def test_inside():
    assert clamp(2, 1, 3) == 2

def test_above():
    assert clamp(9, 1, 3) == 3

def test_below():
    assert clamp(0, 1, 3) == 1

def test_span():
    assert span(1, 3) == 2
"""


def play(role: Role, workspace: Workspace, project: Project, task: str) -> TurnResult:
    runner = TestRunner(project)
    runner.baseline = Baseline.of([runner.run(workspace)])
    extra = [finish_tool(role, lambda arguments: None)]
    if "editFile" in role.tools and role.name != "tester":
        extra.insert(0, make_propose_tool(workspace, project, task, time_limit_s=40))
    toolbox = Toolbox(workspace, runner, allowed=role.tools, may_write=role.may_write, extra=extra)
    agent = RoleAgent(
        role.name,
        make_client("offline/repair"),
        toolbox,
        system="Work.",
        scope=f"n0/{role.name}/0",
        max_steps=20,
    )
    return asyncio.run(agent.turn(task))


def test_tester_names_what_fails(make_workspace, project: Project):
    workspace = make_workspace({"limits.py": SOURCE, "test_limits.py": TESTS})
    result = play(ROLES["tester"], workspace, project, "clamp gives the lower bound")
    assert result.status == "finished"
    assert result.finish["reproduced"] is True
    assert result.finish["failingTests"] == ["test_limits.py::test_above"]


def test_tester_refuses_without_a_failing_test(make_workspace, project: Project):
    good = SOURCE.replace("if value > high:\n        return low", "if value > high:\n        return high")
    workspace = make_workspace({"limits.py": good, "test_limits.py": TESTS})
    result = play(ROLES["tester"], workspace, project, "please make it faster")
    assert result.finish == {"summary": NEEDS_TEST, "failingTests": [], "reproduced": False}


@pytest.mark.parametrize("name", ["coder", "debugger", "single"])
@pytest.mark.parametrize("named", [True, False])
def test_a_writer_repairs(make_workspace, project: Project, name: str, named: bool):
    workspace = make_workspace({"limits.py": SOURCE, "test_limits.py": TESTS})
    task = "clamp is wrong" + ("\n\nFAILED test_limits.py::test_above\n" if named else "")
    result = play(ROLES[name], workspace, project, task)
    assert result.status == "finished"
    assert result.finish["gaveUp"] is False
    assert "return high" in workspace.read_text("limits.py")
    assert workspace.diff().files == ("limits.py",)


def test_a_writer_gives_up_and_leaves_nothing(make_workspace, project: Project):
    impossible = {
        "words.py": "def answer(text):\n    return len(text)\n",
        "test_words.py": "from words import answer\n\ndef test_it():\n"
        "    assert [answer(w) for w in ('a', 'bb', 'ccc', 'qx', '')] == [71, 'z', 3.5, {}, b'q']\n",
    }
    workspace = make_workspace(impossible)
    result = play(ROLES["single"], workspace, project, "FAILED test_words.py::test_it")
    assert result.finish["gaveUp"] is True
    assert "language model" in result.finish["summary"]
    assert workspace.diff().is_empty


@pytest.mark.parametrize(("mend", "accept"), [("return high", True), ("return low + 0", False)])
def test_critic_judges_by_tests(make_workspace, project: Project, mend: str, accept: bool):
    workspace = make_workspace({"limits.py": SOURCE, "test_limits.py": TESTS})
    runner = TestRunner(project)
    baseline = Baseline.of([runner.run(workspace)])
    text = workspace.read_text("limits.py")
    workspace.write_text(
        "limits.py", text.replace("value > high:\n        return low", f"value > high:\n        {mend}")
    )
    runner.baseline = baseline
    role = ROLES["critic"]
    toolbox = Toolbox(
        workspace, runner, allowed=role.tools, extra=[finish_tool(role, lambda arguments: None)]
    )
    agent = RoleAgent("critic", make_client("offline/repair"), toolbox, system="Work.", scope="n0/critic/0")
    result = asyncio.run(agent.turn("Review it."))
    assert result.finish["accept"] is accept
    assert "tests only" in result.finish["rationale"]
    assert set(result.finish["scores"]) == {"addressesIssue", "safeForCallers", "minimal", "honest"}


def test_no_tokens_no_state():
    async def twice() -> None:
        client = OfflineRepairClient()
        tools = [{"name": "finish", "parameters": {"properties": {"gaveUp": {}}}}, {"name": "runTests"}]
        messages = [UserMessage(content="something is wrong", source="user")]
        one = await client.create(messages, tools=tools)  # pyright: ignore[reportArgumentType]
        two = await client.create(messages, tools=tools)  # pyright: ignore[reportArgumentType]
        assert one == two
        assert one.usage.prompt_tokens == one.usage.completion_tokens == 0
        assert client.is_llm is False
        assert [json.loads(call.arguments) for call in one.content] == [{}]  # pyright: ignore

    asyncio.run(twice())
