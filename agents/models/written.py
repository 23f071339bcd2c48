"""Written calls: tool calls that a model wrote as text, in the ways of the common templates.

In text mode: ```` ```tool NAME ```` fences (asked for in the prompt), special tokens, `<tool_call>` tags (Hermes
and Qwen templates), `<function=NAME>` (Qwen3-Coder), ReAct's `Action:` / `Action Input:` (Yao et al. 2022), and
one ```` ```bash ```` fence as a `shell` command. While tools are offered: the same without the fences and ReAct,
and JSON that names one of them, for servers that have no parser for their model. Thinking holds no calls.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...tools.toolbox.tool_schema import JsonSchema, ToolSchema
from ..message import ToolCall
from .thinking import apart
from .wire import Answer

Tools = Mapping[str, JsonSchema]
"""Name → schema of the arguments."""

_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)\n", re.MULTILINE)
_TAGGED = re.compile(
    r"<(?P<tag>tool_call|function_call|tool_use)>\s*(?P<body>.*?)\s*(?:</(?P=tag)>|(?=<(?P=tag)>)|\Z)",
    re.DOTALL,
)
_PAIRS = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_FUNCTION = re.compile(
    r"<function(?:=|\s+name=[\"'])(?P<name>[^>\"']+)[\"']?>(?P<body>.*?)</function>"
    r"|<(?:\w+:)?invoke\s+name=[\"'](?P<invoked>[^\"']+)[\"']>(?P<inside>.*?)</(?:\w+:)?invoke>",
    re.DOTALL,
)
_PARAMETERS = re.compile(
    r"<(?:\w+:)?parameter(?:=|\s+name=[\"'])([^>\"']+)[\"']?[^>]*>(.*?)</(?:\w+:)?parameter>", re.DOTALL
)
_MARKED = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<\|tool_call_begin\|>\s*(?P<name>[^<\n]+?)\s*<\|tool_call_argument_begin\|>(?P<body>.*?)(?:<\|tool_call_end\|>|\Z)",
        r"<[|｜]tool▁call▁begin[|｜]>(?:function<[|｜]tool▁sep[|｜]>)?\s*(?P<name>[\w.]+)(?P<body>.*?)(?:<[|｜]tool▁call▁end[|｜]>|\Z)",
        r"to=(?P<name>functions\.[\w.]+)[^{]*?<\|message\|>(?P<body>.*?)(?:<\|call\|>|\Z)",
        r"\[TOOL_CALLS\]\s*(?P<name>[A-Za-z_][\w.]*)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?\s*(?P<body>\{.*?)(?=\[TOOL_CALLS\]|\Z)",
    )
)
_JSON_START = re.compile(r"^[ \t]*[\[{]", re.MULTILINE)
_NAME_MARKS = re.compile(r"<\||<｜|\(|\s")
_BROKEN = re.compile(
    r'\s*\{\s*"name"\s*:\s*"([\w.-]+)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(.*)\}\s*$', re.DOTALL
)
_REACT = re.compile(
    r"^[ \t]*\**Action\**:\**[ \t]*`?([\w.-]+)`?[ \t]*\n+[ \t]*\**Action Input\**:\**[ \t]*", re.MULTILINE
)
_SHELLS = frozenset({"bash", "sh", "shell", "console"})


def with_calls(answer: Answer, tools: Sequence[ToolSchema], *, text_mode: bool = False) -> Answer:
    """The answer with its thinking apart, its calls' names as the tools are called, and the calls found in its
    text when it made none. The text as it came stays in `extras["text"]`."""
    known: Tools = {t["function"]["name"]: t["function"].get("parameters") or {} for t in tools}
    message = apart(answer.message)
    if message.tool_calls:
        calls = tuple(call._replace(name=clean_name(call.name, known)) for call in message.tool_calls)
        if calls != message.tool_calls:
            names = [call.name for call in message.tool_calls]
            message = replace(message, tool_calls=calls, extras={**message.extras, "tool_names": names})
        return answer if message is answer.message else replace(answer, message=message)
    text, found = parse_calls(message.content, known, text_mode=text_mode)
    if not found:
        return answer if message is answer.message else replace(answer, message=message)
    reason = "tool_calls" if answer.finish_reason != "length" else "length"
    said = answer.message.content
    message = replace(message, content=text, tool_calls=tuple(found), extras={**message.extras, "text": said})
    return replace(answer, message=message, finish_reason=reason)


def parse_calls(text: str, tools: Tools, *, text_mode: bool = True) -> tuple[str, list[ToolCall]]:
    """Returns the text before the first call, and the calls (with no id, and raw arguments).

    A call whose JSON is broken is still a call: its raw arguments reach the role, which tells the model.
    """
    finders = (
        (_fenced, _marked, _tagged, _functions, _react)
        if text_mode
        else (_marked, _tagged, _functions, _json)
    )
    for find in finders:
        start, calls = find(text, tools)
        calls = [call for call in calls if text_mode or call.name in tools]
        if calls:
            return text[:start].strip(), calls
    if text_mode and "shell" in tools:
        start, calls = _bash(text)
        if calls:
            return text[:start].strip(), calls
    return text, []


def _call(name: str, arguments: str) -> ToolCall:
    return ToolCall("", name, arguments)


def _blocks(text: str) -> list[tuple[int, str, str]]:
    """(start, info string, body) of the fenced blocks at the top level; an unclosed one runs to the end."""
    found: list[tuple[int, str, str]] = []
    at = 0
    while (opening := _FENCE.search(text, at)) is not None:
        fence = opening["fence"]
        closing = re.compile(rf"^{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", re.MULTILINE)
        closed = closing.search(text, opening.end())
        end = closed.start() if closed else len(text)
        found.append((opening.start(), opening["info"].strip(), text[opening.end() : end].removesuffix("\n")))
        at = closed.end() if closed else len(text)
    return found


def _fenced(text: str, tools: Tools) -> tuple[int, list[ToolCall]]:
    start = -1
    calls: list[ToolCall] = []
    for position, info, body in _blocks(text):
        words = info.split()
        if len(words) == 2 and words[0] in ("tool", "tool_call"):
            calls.append(_call(clean_name(words[1], tools), body.strip() or "{}"))
        elif (
            words and words[0] in ("tool", "tool_call", "json") and (call := _named(body, tools)) is not None
        ):
            calls.append(call)
        elif len(words) == 1 and words[0] in tools:
            calls.append(_call(words[0], body.strip() or "{}"))
        elif len(words) == 2 and words[0] in ("argument", "arg") and calls:
            calls[-1] = calls[-1]._replace(arguments=_with_argument(calls[-1].arguments, words[1], body))
            continue
        else:
            continue
        start = position if start < 0 else start
    return start, calls


def _with_argument(arguments: str, name: str, value: str) -> str:
    try:
        parsed = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments
    if not isinstance(parsed, dict):
        return arguments
    return _json_text({**parsed, name: value + "\n" if "\n" in value else value})


def _named(body: str, tools: Tools) -> ToolCall | None:
    """{"name": ..., "arguments": {...}}, also where the arguments are broken."""
    try:
        parsed = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        match = _BROKEN.match(body)
        return _call(match[1], match[2].strip()) if match and match[1] in tools else None
    return _of(parsed, tools)


def _tagged(text: str, tools: Tools) -> tuple[int, list[ToolCall]]:
    """Hermes and Qwen: JSON in tags. GLM: the name, then pairs of keys and values. The last tag may be open."""
    start = -1
    calls: list[ToolCall] = []
    for match in _TAGGED.finditer(text):
        body = match["body"]
        pairs = _PAIRS.findall(body)
        if pairs:
            name = clean_name(body[: body.index("<")], tools)
            found = [_call(name, _typed(pairs, tools.get(name)))]
        else:
            found = _objects(body, tools) or _functions(body, tools)[1]
        if found:
            calls += found
            start = match.start() if start < 0 else start
    return start, calls


def _functions(text: str, tools: Tools) -> tuple[int, list[ToolCall]]:
    """Qwen3-Coder's `<function=NAME>`, Llama's the same with JSON inside, Anthropic's `<invoke name="NAME">`."""
    start = -1
    calls: list[ToolCall] = []
    for match in _FUNCTION.finditer(text):
        name = clean_name(match["name"] or match["invoked"], tools)
        body = (match["body"] or match["inside"] or "").strip()
        pairs = _PARAMETERS.findall(body)
        if name not in tools or not (pairs or body.startswith("{") or not body):
            continue
        calls.append(_call(name, _typed(pairs, tools[name]) if pairs else body or "{}"))
        start = match.start() if start < 0 else start
    return start, calls


def _marked(text: str, tools: Tools) -> tuple[int, list[ToolCall]]:
    """Special tokens that a server left in the text: Kimi, DeepSeek, harmony (gpt-oss), Mistral, Llama."""
    start = -1
    calls: list[ToolCall] = []
    for pattern in _MARKED:
        for match in pattern.finditer(text):
            name = clean_name(match["name"], tools)
            found = _first_object(match["body"])
            if name in tools and found is not None:
                calls.append(_call(name, found))
                start = match.start() if start < 0 else start
        if calls:
            return start, calls
    for mark in ("[TOOL_CALLS]", "<|python_tag|>", "<|tool_call|>", "<|tool▁calls▁begin|>"):
        at = text.find(mark)
        if at >= 0 and (found := _objects(text[at + len(mark) :], tools)):
            return at, found
    return -1, []


def _json(text: str, tools: Tools) -> tuple[int, list[ToolCall]]:
    """A message that is, or ends with, one JSON value (or a `json` fence) that names a tool."""
    for position, info, body in _blocks(text):
        if info.split()[:1] in (["json"], ["tool_call"], ["tool"], ["tool_code"]) and (
            found := _objects(body, tools)
        ):
            return position, found
    stripped = text.strip()
    at = _JSON_START.search(stripped)
    if at is None or not stripped.endswith(("}", "]")):
        return -1, []
    start = at.start()
    return text.index(stripped) + start, _objects(stripped[start:], tools)


def _objects(body: str, tools: Tools) -> list[ToolCall]:
    """Calls in a JSON value: one object, a list, or {"tool_calls": [...]}."""
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(body.strip())
    except (ValueError, RecursionError):
        call = _named(body, tools)
        return [] if call is None else [call]
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    found = [_of(item, tools) for item in (value if isinstance(value, list) else [value])]
    return [call for call in found if call is not None] if all(found) else []


def _of(value: Any, tools: Tools) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    value = value["function"] if isinstance(value.get("function"), dict) else value
    name = value.get("name") or value.get("tool") or value.get("function") or value.get("tool_name")
    keys = [key for key in ("arguments", "parameters", "input", "args", "tool_input") if key in value]
    if not isinstance(name, str) or (not keys and len(value) > 1):
        return None
    given = value[keys[0]] if keys else {}
    return _call(clean_name(name, tools), given if isinstance(given, str) else _json_text(given))


def _json_text(value: object) -> str:
    """As JSON; what is nested too deeply for that becomes a text that is no JSON, which the model is told."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "{... nested too deeply ...}"


def _first_object(body: str) -> str | None:
    at = body.find("{")
    if at < 0:
        return None
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(body[at:])
    except (ValueError, RecursionError):
        return body[at:].strip()
    return body[at : at + end]


def _typed(pairs: Sequence[tuple[str, str]], schema: JsonSchema | None) -> str:
    """Values written as text: strings as they stand, the others as JSON where they are."""
    properties = (schema or {}).get("properties") or {}
    found: dict[str, object] = {}
    for key, raw in pairs:
        value: Any = raw.removeprefix("\n").removesuffix("\n")
        if (properties.get(key.strip()) or {}).get("type") != "string":
            with contextlib.suppress(ValueError, RecursionError):
                value = json.loads(value)
        found[key.strip()] = value
    return _json_text(found)


def clean_name(name: str, tools: Collection[str]) -> str:
    """A tool's name without what templates leave on it (`functions.readFile<|channel|>commentary`, `readFile:0`);
    as it was when that makes no tool."""
    if name in tools:
        return name
    bare = _NAME_MARKS.split(name.strip().strip("\"'`"))[0].strip()
    for candidate in (
        bare,
        bare.rpartition(".")[2],
        bare.rpartition("/")[2],
        bare.rpartition(":")[2],
        bare.partition(":")[0].rpartition(".")[2],
    ):
        if candidate in tools:
            return candidate
    return name


def _react(text: str, tools: Tools) -> tuple[int, list[ToolCall]]:
    match = _REACT.search(text)
    if match is None:
        return -1, []
    rest = text[match.end() :]
    rest = re.split(r"^[ \t]*\**(?:Observation|Thought|Action)\**:", rest, maxsplit=1, flags=re.MULTILINE)[
        0
    ].strip()
    fenced = _blocks(rest)
    if fenced and fenced[0][0] == 0:
        rest = fenced[0][2]
    if rest.startswith("{"):
        try:
            _, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[:end]
        except (ValueError, RecursionError):
            pass
    elif match[1] == "shell":
        rest = json.dumps({"command": rest}, ensure_ascii=False)
    return match.start(), [_call(match[1], rest or "{}")]


def _bash(text: str) -> tuple[int, list[ToolCall]]:
    found = [block for block in _blocks(text) if block[1].split()[:1] and block[1].split()[0] in _SHELLS]
    if len(found) != 1 or not found[0][2].strip():
        return -1, []
    return found[0][0], [_call("shell", json.dumps({"command": found[0][2]}, ensure_ascii=False))]
