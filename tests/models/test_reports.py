"""What users of such tools reported of endpoints and models, each with its right value."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models.looping import TOOLS, client_on
from servers.model_server import ModelServer

from swe_agent.agents.compaction import shorten, without_embedded
from swe_agent.agents.message import Message, ToolCall, tool_result, user
from swe_agent.agents.models.arguments import read_arguments, sendable
from swe_agent.agents.models.calls import ModelOptions
from swe_agent.agents.models.failures import from_status
from swe_agent.agents.models.openai_answer import read_completion
from swe_agent.agents.models.openai_stream import StreamReader
from swe_agent.agents.models.providers import route_of
from swe_agent.agents.models.thinking import split
from swe_agent.agents.models.wire import WireError
from swe_agent.agents.models.written import clean_name, parse_calls
from swe_agent.tools.errors import CredentialsError
from swe_agent.tools.proxies import proxy_of

SHELL: Any = {"properties": {"command": {"type": "string"}, "times": {"type": "integer"}}}
KNOWN: Any = {"shell": SHELL, "readFile": {"properties": {"path": {"type": "string"}}}}
CALL = '{"name": "readFile", "arguments": {"path": "a"}}'
READ = [("readFile", {"path": "a"})]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (CALL, READ),
        (f"I look.\n{CALL}", READ),
        (f"```json\n{CALL}\n```", READ),
        (f"[{CALL}, {CALL}]", READ * 2),
        (f'{{"tool_calls": [{{"function": {CALL}}}]}}', READ),
        (f"<tool_call>\n{CALL}\n</tool_call>", READ),
        (f"<tool_call>{CALL}", READ),
        ("<function=readFile>\n<parameter=path>\na\n</parameter>\n</function>", READ),
        (
            "<tool_call>\n<function=readFile>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>",
            READ,
        ),
        ('<function=readFile>{"path": "a"}</function>', READ),
        (
            '<invoke name="shell"><parameter name="command">ls</parameter><parameter name="times">2</parameter></invoke>',
            [("shell", {"command": "ls", "times": 2})],
        ),
        ("<tool_call>readFile\n<arg_key>path</arg_key>\n<arg_value>a</arg_value>\n</tool_call>", READ),
        (f"[TOOL_CALLS][{CALL}]", READ),
        ('[TOOL_CALLS]readFile[ARGS]{"path": "a"}', READ),
        (f"<|python_tag|>{CALL}", READ),
        (
            '<|tool_call_begin|>functions.readFile:0<|tool_call_argument_begin|>{"path": "a"}<|tool_call_end|>',
            READ,
        ),
        (
            '<|start|>assistant to=functions.readFile<|channel|>commentary json<|message|>{"path": "a"}<|call|>',
            READ,
        ),
        ('{"name": "somethingElse", "arguments": {}}', []),
        ('The config is {"path": "a"}', []),
        ("```bash\nrm -rf /\n```", []),
    ],
)
def test_calls_in_other_clothes_while_tools_are_offered(text: str, calls: list[tuple[str, Any]]) -> None:
    _, found = parse_calls(text, KNOWN, text_mode=False)
    assert [(call.name, json.loads(call.arguments)) for call in found] == calls


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\n```tool shell\nrm\n```\n</think>\nDone.", "\nDone."),
        ("I could rm.\n</think>\nDone.", "\nDone."),
        ("<think>never ends: ```tool shell\nrm\n```", ""),
        ("[THINK]rm[/THINK]Done.", "Done."),
        ("◁think▷rm◁/think▷Done.", "Done."),
        ("A.\n<thinking>rm</thinking>B.", "A.\nB."),
        ("```tool writeFile\n<think>\n```\n", "```tool writeFile\n<think>\n```\n"),
        ("I think so.", "I think so."),
    ],
)
def test_thinking_is_never_said(text: str, said: str) -> None:
    assert split(text)[1] == said


@given(st.text(alphabet=st.sampled_from(list("<>/`\n think{}\"':,a[]")), max_size=80))
def test_any_text_is_read(text: str) -> None:
    split(text)
    parse_calls(text, KNOWN, text_mode=False)
    json.loads(sendable(text))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (json.dumps('{"path": "a"}'), {"path": "a"}),
        ('{"path": "a"}<|im_end|>', {"path": "a"}),
        ('{"path": "a\nb"}', {"path": "a\nb"}),
        ('```json\n{"path": "a"}\n```', {"path": "a"}),
        ("{'path': 'a'}", {"path": "a"}),
        ('{"path": "a"}{"path": "a"}', {"path": "a"}),
        ("", {}),
        ("null", {}),
        ('{"path": "a"}{"path": "b"}', None),
        ('{"path": "a', None),
        ("[1]", None),
    ],
)
def test_arguments_that_are_nearly_json(written: str, meant: Any) -> None:
    assert read_arguments(written) == meant


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4), st.integers(0, 60)
)
def test_a_cut_is_never_completed_and_a_whole_is_read(value: dict[str, Any], at: int) -> None:
    text = json.dumps(value)
    assert read_arguments(text) == value
    if at < len(text):
        assert read_arguments(text[:at]) in (None, {})


def test_broken_arguments_go_back_as_json_and_stay_as_they_were_in_the_record() -> None:
    broken = ToolCall("c1", "look", '{"at": 1')
    talk = [user("Look."), Message("assistant", tool_calls=(broken,)), tool_result(broken, "bad", ok=False)]

    async def run(base: str) -> Any:
        client = client_on(base)
        sample = await client.sample(talk, tools=TOOLS)
        await client.close()
        return sample

    with ModelServer([{"content": "ok"}]) as server:
        asyncio.run(run(server.base))
        sent = server.calls[0].body["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == {"invalid_json": '{"at": 1'}
    assert talk[1].tool_calls[0].arguments == '{"at": 1'


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "Range of input length should be [1, 30720]", "overflow"),
        (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", "overflow"),
        (400, "Your request exceeded model token limit: 131072", "overflow"),
        (400, "prompt token count of 93854 exceeds the limit of 90000", "overflow"),
        (413, "Request body too large for o1-mini model. Max size: 4000 tokens.", "overflow"),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000", "overflow"),
        (
            429,
            "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 41000",
            "overflow",
        ),
        (429, "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000", "rate"),
        (
            400,
            "max_tokens is too large: 32768. This model supports at most 16384 completion tokens",
            "parameter",
        ),
        (400, "invalid temperature: only 1 is allowed for this model", "parameter"),
        (400, "deepseek-reasoner does not support Function Calling", "no_tools"),
        (403, "Your input was flagged", "forbidden"),
        (400, "Failed to call a function. See failed_generation", "sampling"),
        (500, "Failed to parse tool call arguments as JSON", "sampling"),
        (404, "The model `x` does not exist", "missing"),
        (529, "Overloaded", "rate"),
    ],
)
def test_what_providers_say(status: int, words: str, kind: str) -> None:
    assert from_status(status, {"error": {"message": words}}, {}).kind == kind


@pytest.mark.parametrize("finish", ["error", "ERROR", "abort", "network_error"])
def test_an_answer_that_says_it_is_an_error_is_the_endpoints_failure(finish: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": finish}
    with pytest.raises(WireError) as caught:
        read_completion({"choices": [choice]})
    assert caught.value.kind == "transient"


@given(
    st.lists(st.tuples(st.sampled_from(["look", "see"]), st.integers(0, 99)), min_size=1, max_size=4),
    st.booleans(),
)
def test_streamed_calls_that_share_an_index(calls: list[tuple[str, int]], whole: bool) -> None:
    reader = StreamReader()
    for number, (name, at) in enumerate(calls):
        text = json.dumps({"at": at})
        parts = [text] if whole else [text[:3], text[3:]]
        for piece, part in enumerate(parts):
            function = {"name": name, "arguments": part} if not piece else {"arguments": part}
            call = {"index": 0, "function": function, **({} if piece else {"id": f"c{number}"})}
            reader.feed({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    reader.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    found = reader.answer().message.tool_calls
    assert [(call.name, json.loads(call.arguments)["at"]) for call in found] == calls


@pytest.mark.parametrize(
    "written",
    [
        "functions.readFile",
        "readFile<|channel|>commentary",
        "readFile:0",
        "default_api.readFile",
        "`readFile`",
    ],
)
def test_marks_on_tool_names(written: str) -> None:
    assert clean_name(written, KNOWN) == "readFile"
    assert clean_name("unheardOf", KNOWN) == "unheardOf"


@pytest.mark.parametrize(
    "base",
    [
        "http://h:1/v1",
        "http://h:1/v1/",
        "http://h:1/v1/chat/completions",
        "h:1/v1/models",
        " http://h:1/v1?x=1 ",
    ],
)
def test_addresses_as_people_copy_them(base: str) -> None:
    assert route_of("openai/m", ModelOptions(api_base=base)).base_url == "http://h:1/v1"


@pytest.mark.parametrize("base", ["http://", "ftp://h/v1", "http://h:port/v1", "http://[::1/v1"])
def test_what_is_no_address_is_said(base: str) -> None:
    with pytest.raises(CredentialsError, match="--api-base"):
        route_of("openai/m", ModelOptions(api_base=base))


@pytest.mark.parametrize(
    ("excepted", "url", "direct"),
    [
        ("localhost,127.0.0.1", "http://127.0.0.1:80", True),
        ("10.0.0.0/8", "http://10.1.2.3/v1", True),
        ("10.0.0.0/8", "http://11.1.2.3/v1", False),
        ("fd00::/8", "http://[fd00::1]:8000/v1", True),
        ("::1", "http://[::1]:8000/v1", True),
        (".example.org", "https://a.example.org", True),
        ("example.org:8443", "https://example.org", True),
        ("example.org:80", "http://example.org:81", False),
        ("*", "https://anywhere", True),
        ("", "https://anywhere", False),
    ],
)
def test_no_proxy(monkeypatch: pytest.MonkeyPatch, excepted: str, url: str, direct: bool) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert proxy_of(url) == (None if direct else "http://proxy:3128")


def test_pictures_and_long_issues() -> None:
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 40_000
    text = without_embedded(f"It fails.\n![x]({picture})\nSee calc/ops.py")
    assert len(text) < 200
    assert "image/png" in text
    assert "calc/ops.py" in text
    long = (
        "It fails.\n"
        + "blah blah\n" * 50_000
        + "see `add()` in calc/ops.py\n"
        + "blah\n" * 50_000
        + "Thanks."
    )
    short = shorten(long, 4000)
    assert len(short) < 4300
    assert short.startswith("It fails.")
    assert short.endswith("Thanks.")
    assert "calc/ops.py" in short
