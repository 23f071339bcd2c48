"""Tools as text: what is sent, and what is read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.model_server import ModelServer

from swe_agent.agents.message import Message, ToolCall, system, tool_result, user
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.client import Sample
from swe_agent.agents.models.factory import make_client
from swe_agent.agents.models.written import parse_calls

NAMES = ["readFile", "writeFile", "shell", "finish"]
KNOWN: dict[str, Any] = {name: {} for name in NAMES}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": name, "description": f"The {name} tool.", "parameters": {"type": "object"}},
    }
    for name in NAMES
]


@pytest.mark.parametrize(
    ("text", "before", "calls"),
    [
        ('Look.\n\n```tool readFile\n{"path": "a"}\n```\n', "Look.", [("readFile", {"path": "a"})]),
        ("```tool finish\n```", "", [("finish", {})]),
        ('```tool readFile\n{"path": "a"}', "", [("readFile", {"path": "a"})]),
        ('~~~~tool readFile\n{"path": "a"}\n~~~~', "", [("readFile", {"path": "a"})]),
        ('```readFile\n{"path": "a"}\n```', "", [("readFile", {"path": "a"})]),
        ('```json\n{"name": "readFile", "arguments": {"path": "a"}}\n```', "", [("readFile", {"path": "a"})]),
        (
            '```tool\n{"tool": "readFile", "parameters": {"path": "a"}}\n```',
            "",
            [("readFile", {"path": "a"})],
        ),
        (
            '```tool readFile\n{"path": "a"}\n```\nand\n```tool readFile\n{"path": "b"}\n```',
            "",
            [("readFile", {"path": "a"}), ("readFile", {"path": "b"})],
        ),
        (
            'New file:\n```tool writeFile\n{"path": "a.md"}\n```\n````argument content\n# T\n```py\nx\n```\n````',
            "New file:",
            [("writeFile", {"path": "a.md", "content": "# T\n```py\nx\n```\n"})],
        ),
        (
            'Hm.<tool_call>\n{"name": "shell", "arguments": {"command": "ls"}}\n</tool_call>',
            "Hm.",
            [("shell", {"command": "ls"})],
        ),
        (
            'Thought: look\nAction: readFile\nAction Input: {"path": "a"}\nObservation: made up',
            "Thought: look",
            [("readFile", {"path": "a"})],
        ),
        (
            "Thought: run\nAction: shell\nAction Input: ls -la",
            "Thought: run",
            [("shell", {"command": "ls -la"})],
        ),
        ("**Action:** `shell`\n**Action Input:** ```\nls\n```", "", [("shell", {"command": "ls"})]),
        ("I run it.\n\n```bash\nls -la\ncat x\n```", "I run it.", [("shell", {"command": "ls -la\ncat x"})]),
    ],
)
def test_calls_are_found(text: str, before: str, calls: list[tuple[str, Any]]) -> None:
    said, found = parse_calls(text, KNOWN)
    assert said == before
    assert [(call.name, json.loads(call.arguments)) for call in found] == calls


@pytest.mark.parametrize(
    "text",
    [
        "Just words.",
        "```python\nprint(1)\n```",
        '```json\n{"path": "a"}\n```',
        "```bash\nls\n```\nor\n```bash\npwd\n```",
        "Action: think about it",
    ],
)
def test_words_and_code_are_no_calls(text: str) -> None:
    assert parse_calls(text, KNOWN) == (text, [])


def test_broken_json_is_still_a_call_that_the_role_can_be_told_about() -> None:
    _, found = parse_calls('```tool readFile\n{"path": "a\n```', KNOWN)
    assert found == [ToolCall("", "readFile", '{"path": "a')]


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    said, calls = parse_calls(text, KNOWN)
    assert calls or said == text


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=30),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_what_is_written_as_a_call_is_read_as_that_call(arguments: dict[str, Any]) -> None:
    _, found = parse_calls(f"Hm.\n\n```tool shell\n{json.dumps(arguments)}\n```", KNOWN)
    assert json.loads(found[0].arguments) == arguments


def test_a_whole_conversation_travels_as_text() -> None:
    replies = [
        {"content": 'Look.\n\n```tool readFile\n{"path":   "a.py"}\n```'},
        {"content": 'Done.\n\n```tool finish\n{"summary": "ok"}\n```'},
    ]

    async def run(base: str) -> list[Sample]:
        client = make_client(
            "openai/m", options=ModelOptions(api_base=base, text_mode=True), scope="n0/coder/0"
        )
        messages: list[Message] = [
            system("You fix."),
            user("Fix."),
        ]
        results = [await client.sample(messages, tools=TOOLS)]
        said = results[0].message
        messages += [
            said,
            tool_result(said.tool_calls[0], "x = 1"),
            user("Three steps are left."),
        ]
        results.append(await client.sample(messages, tools=TOOLS))
        await client.close()
        return results

    with ModelServer(replies) as server:
        results = asyncio.run(run(server.base))
        first, second = (call.body for call in server.calls)
    assert "tools" not in first
    told = first["messages"][0]["content"]
    assert told.startswith("You fix.")
    assert all(f"## {name}" in told for name in NAMES)
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][2]["content"] == replies[0]["content"]
    assert second["messages"][3]["content"] == "Result of readFile:\nx = 1\n\nThree steps are left."
    assert results[1].finish_reason == "tool_calls"
    assert results[1].message.content == "Done."
    assert results[0].call.response["tool_calls"][0]["id"]
