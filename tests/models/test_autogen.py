"""AutoGen at the edge, in real AutoGen teams."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.messages import StructuredMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core import FunctionCall, Image
from autogen_core.models import AssistantMessage, CreateResult, FunctionExecutionResultMessage, UserMessage
from autogen_core.tools import FunctionTool
from hypothesis import given
from hypothesis import strategies as st
from models.looping import client_on
from servers.model_server import ModelServer

from swe_agent.agents.autogen.messages import from_autogen, to_autogen
from swe_agent.agents.autogen.model import AutoGenModel
from swe_agent.agents.autogen.participant import RoleParticipant, RoleReport
from swe_agent.agents.loop import RoleAgent
from swe_agent.agents.message import Message, ToolCall, system, user
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.roles import CODER, CRITIC, Role, finish_tool
from swe_agent.tools.errors import CredentialsError, ModelError
from swe_agent.tools.history import prepare_repository
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.toolbox.toolbox import Toolbox
from swe_agent.tools.workspace import Workspace

SCORES = dict.fromkeys(("addressesIssue", "safeForCallers", "minimal", "honest"), 9)
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CODED = {"name": "finish", "arguments": {"summary": "I changed the sign."}}
VERDICTS = [
    {"accept": accept, "scores": SCORES, "rationale": why}
    for accept, why in ((False, "It lacks a test."), (True, "Now it is right."))
]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    for arguments in (
        ["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "base"],
    ):  # fmt: skip
        subprocess.run(["git", *arguments], cwd=origin, check=True)
    prepare_repository(origin, None, tmp_path / "source")
    sandbox = open_sandbox("plain", SandboxSpec(source=tmp_path / "source", scratch=tmp_path / "scratch"))
    with Workspace(sandbox, sandbox.exec(["git", "rev-parse", "HEAD"]).output.strip()) as opened:
        yield opened


def replies(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"tool_calls": [call]} for call in calls]


def participant(role: Role, base: str, workspace: Workspace) -> RoleParticipant:
    toolbox = Toolbox(workspace, None, allowed=(), extra=[finish_tool(role, lambda arguments: None)])
    client = client_on(base).scoped(f"team/{role.name}/0")
    return RoleParticipant(RoleAgent(role.name, client, toolbox, system="Work.", scope=client.scope))


def reports(result: TaskResult) -> list[RoleReport]:
    return [m.content for m in result.messages if isinstance(m, StructuredMessage)]


def test_our_roles_in_a_round_robin_team_keep_the_critics_verdict(workspace: Workspace) -> None:
    review = [{"name": "finish", "arguments": verdict} for verdict in VERDICTS]

    async def run(coder: str, critic: str) -> TaskResult:
        team = RoundRobinGroupChat(
            [participant(CODER, coder, workspace), participant(CRITIC, critic, workspace)],
            termination_condition=TextMentionTermination("is accepted") | MaxMessageTermination(9),
        )
        return await team.run(task="add subtracts")

    with ModelServer(replies(CODED)) as one, ModelServer(replies(*review)) as two:
        result = asyncio.run(run(one.base, two.base))
        again = one.calls[1].body["messages"]
    found = reports(result)
    assert [(report.role, report.accept) for report in found] == [
        ("coder", None), ("critic", False), ("coder", None), ("critic", True),
    ]  # fmt: skip
    assert found[1].finish["scores"] == SCORES
    assert result.messages[-1].to_text() == "The patch is accepted. Now it is right."
    # The Coder's second turn goes on in its own conversation and is told what the Critic said.
    assert again[-1]["content"] == "critic: The patch is rejected. It lacks a test."
    assert [message["role"] for message in again] == ["system", "user", "assistant", "tool", "user"]


def test_our_roles_and_an_agent_of_autogens_in_a_selector_team_on_our_model(workspace: Workspace) -> None:
    async def run(coder: str, critic: str, selector: str) -> TaskResult:
        planner = AssistantAgent("planner", AutoGenModel(client_on(selector)), description="Plans.")
        team = SelectorGroupChat(
            [planner, participant(CODER, coder, workspace), participant(CRITIC, critic, workspace)],
            model_client=AutoGenModel(client_on(selector)),
            termination_condition=MaxMessageTermination(4),
        )
        return await team.run(task="add subtracts")

    review = {"name": "finish", "arguments": VERDICTS[0]}
    said = [{"content": text} for text in ("planner", "Change the sign.", "coder", "critic")]
    with (
        ModelServer(replies(CODED)) as one,
        ModelServer(replies(review)) as two,
        ModelServer(said) as three,
    ):
        result = asyncio.run(run(one.base, two.base, three.base))
        told = one.calls[0].body["messages"][-1]["content"]
    assert [message.source for message in result.messages] == ["user", "planner", "coder", "critic"]
    assert told == "add subtracts\n\nplanner: Change the sign."
    assert reports(result)[-1].accept is False
    assert "It lacks a test." in result.messages[-1].to_text()


CLIENTS = """
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext_like import Replay

usage = RequestUsage(prompt_tokens=7, completion_tokens=3)
call = FunctionCall(id="1", name="finish", arguments='{"summary": "by AutoGen"}')
replay = Replay([CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False, thought="hm")])
nothing = 7
"""


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[str]:
    """A user's module with a ChatCompletionClient."""
    (tmp_path / "autogen_ext_like.py").write_text(REPLAY)
    (tmp_path / "their_models.py").write_text(CLIENTS)
    sys.path.insert(0, str(tmp_path))
    yield "autogen/their_models:replay"
    sys.path.remove(str(tmp_path))
    for name in ("autogen_ext_like", "their_models"):
        sys.modules.pop(name, None)


REPLAY = '''
from autogen_core.models import ChatCompletionClient

class Replay(ChatCompletionClient):
    """Answers in order; keeps what it was asked."""
    def __init__(self, results):
        self.results, self.asked = list(results), []
    async def create(self, messages, *, tools=(), tool_choice="auto", json_output=None, extra_create_args={}, cancellation_token=None):
        self.asked.append((list(messages), list(tools)))
        return self.results.pop(0)
    def create_stream(self, *a, **k): raise NotImplementedError
    async def close(self): pass
    def actual_usage(self): ...
    def total_usage(self): ...
    def count_tokens(self, messages, *, tools=()): return 0
    def remaining_tokens(self, messages, *, tools=()): return 0
    @property
    def model_info(self): return {}
    @property
    def capabilities(self): return {}
'''


def test_any_autogen_client_is_the_model_of_a_role(clients: str, workspace: Workspace) -> None:
    toolbox = Toolbox(workspace, None, allowed=(), extra=[finish_tool(CODER, lambda arguments: None)])
    client = make_client(clients, scope="n0/coder/0")
    result = asyncio.run(
        RoleAgent("coder", client, toolbox, system="Work.", scope="n0/coder/0").turn("Fix it.")
    )
    assert (result.status, result.finish) == ("finished", {"summary": "by AutoGen"})
    asked, tools = sys.modules["their_models"].replay.asked[0]
    assert [type(message).__name__ for message in asked] == ["SystemMessage", "UserMessage"]
    assert tools[0]["name"] == "finish"
    assert client.is_llm


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("autogen/no_such_module:x", CredentialsError, "PYTHONPATH"),
        ("autogen/their_models", CredentialsError, "MODULE:NAME"),
        ("autogen/their_models:missing", ModelError, "AttributeError"),
        ("autogen/their_models:nothing", ModelError, "not callable"),
    ],
)
def test_what_is_no_client_is_said_in_one_line(
    clients: str, model: str, error: type[Exception], says: str
) -> None:
    async def ask() -> None:
        await make_client(model, options=ModelOptions(max_retry_s=0.1)).sample([user("hi")])

    with pytest.raises(error, match=says):
        asyncio.run(ask())


def test_our_model_under_autogen_takes_its_images_and_tools() -> None:
    def search(text: str) -> str:
        return text

    async def run(base: str) -> list[str | CreateResult]:
        model = AutoGenModel(client_on(base))
        asked = UserMessage(content=["Look:", Image.from_uri(PIXEL)], source="user")
        tools = [FunctionTool(search, "Search.")]
        await model.create([asked], tools=tools, tool_choice="required")
        found = [part async for part in model.create_stream([asked], tools=tools)]
        assert model.total_usage().prompt_tokens == 200
        await model.close()
        return found

    reply = {"content": "one two", "tool_calls": [{"name": "search", "arguments": {"text": "é"}, "id": "c1"}]}
    with ModelServer([reply]) as server:
        *text, last = asyncio.run(run(server.base))
        body = server.calls[0].body
    words, image = body["messages"][0]["content"]
    assert words == {"type": "text", "text": "Look:"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert body["tools"][0]["function"]["name"] == "search"
    assert body["tool_choice"] == "required"
    assert "".join(part for part in text if isinstance(part, str)) == "one two"
    assert isinstance(last, CreateResult)
    assert isinstance(last.content, list)
    assert json.loads(last.content[0].arguments) == {"text": "é"}


words = st.text(min_size=1, max_size=8)
calls = st.lists(st.builds(ToolCall, words, words, words), min_size=1, max_size=3).map(tuple)
messages = st.lists(
    st.one_of(
        st.builds(system, words),
        st.builds(user, words),
        st.builds(lambda text: Message("assistant", text), words),
        st.builds(lambda text, made: Message("assistant", text, tool_calls=made), words, calls),
        st.builds(
            lambda text, id, name, error: Message("tool", text, tool_call_id=id, name=name, error=error),
            words, words, words, st.sampled_from([None, "tool"]),
        ),
    ),
    max_size=8,
)  # fmt: skip


@given(messages)
def test_a_conversation_comes_back_from_autogens_shapes_as_it_went(given_: list[Message]) -> None:
    assert from_autogen(to_autogen(given_)) == given_


def test_results_of_one_turn_are_one_message_of_autogens() -> None:
    made = (ToolCall("1", "a", "{}"), ToolCall("2", "b", "{}"))
    results = [Message("tool", "x", tool_call_id=call.id, name=call.name) for call in made]
    said, joined = to_autogen([Message("assistant", "Look.", tool_calls=made), *results])
    assert isinstance(said, AssistantMessage)
    assert said.content == [FunctionCall(id=c.id, name=c.name, arguments=c.arguments) for c in made]
    assert isinstance(joined, FunctionExecutionResultMessage)
    assert len(joined.content) == 2
