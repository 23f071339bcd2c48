"""TextMode: tools for models that take none. The schemas go into the system prompt, calls come back as
fenced text, and results go back as user messages.

Read are, in this order: ```` ```tool NAME ```` fences (asked for in the prompt), `<tool_call>` tags
(Hermes and Qwen templates), ReAct's `Action:` / `Action Input:` (Yao et al. 2022), and one ```` ```bash ````
fence as a `shell` command.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..message import Message, ToolCall
from .encoder import Encoder, Piece, piece_of
from .wire import Answer

_INSTRUCTIONS = """
# Tools

You act by calling tools. To call one, write a fenced block that starts with `tool` and the tool's name and \
holds its arguments as one JSON object:

```tool readFile
{"path": "src/example.py"}
```

A long text argument may follow as its own block instead of inside the JSON, exactly as it is, with nothing \
escaped (use a longer fence when the text itself holds one):

```tool writeFile
{"path": "src/example.py"}
```
````argument content
print("hello")
````

Stop writing after your calls: the results come in the next message. The tools:
""".strip()

_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)\n", re.MULTILINE)
_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_REACT = re.compile(
    r"^[ \t]*\**Action\**:\**[ \t]*`?([\w.-]+)`?[ \t]*\n+[ \t]*\**Action Input\**:\**[ \t]*", re.MULTILINE
)
_SHELLS = frozenset({"bash", "sh", "shell", "console"})


class TextMode:
    """Rewrites a conversation as plain text and reads tool calls from plain text."""

    def __init__(self) -> None:
        self._encoder = _TextEncoder()

    def pieces(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> list[Piece]:
        """The conversation without any tool message; the first message explains the tools."""
        described = f"{_INSTRUCTIONS}\n{_describe(tools)}"
        pieces = _alternating(self._encoder.pieces(messages))
        if pieces and pieces[0].role == "system":
            first = str(pieces[0].chat["content"])
            return [piece_of({"role": "system", "content": f"{first}\n\n{described}"}), *pieces[1:]]
        return [piece_of({"role": "system", "content": described}), *pieces]

    def read(self, answer: Answer, tools: Sequence[Mapping[str, Any]]) -> Answer:
        """The same answer with the calls found in its text; what the model wrote around them stays."""
        said = answer.message
        if said.tool_calls:
            return answer
        names = [tool["function"]["name"] for tool in tools]
        text, calls = parse_calls(said.content, names)
        if not calls:
            return answer
        reason = "tool_calls" if answer.finish_reason in ("stop", "unknown") else answer.finish_reason
        extras = {**said.extras, "text": said.content}
        message = replace(said, content=text, tool_calls=tuple(calls), extras=extras)
        return replace(answer, message=message, finish_reason=reason)


def parse_calls(text: str, tools: Sequence[str]) -> tuple[str, list[ToolCall]]:
    """Returns the text before the first call, and the calls (with no id, and raw arguments).

    A call whose JSON is broken is still a call: its raw arguments reach the role, which tells the model.
    """
    for find in (_fenced, _tagged, _react):
        start, calls = find(text, tools)
        if calls:
            return text[:start].strip(), calls
    if "shell" in tools:
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


def _fenced(text: str, tools: Sequence[str]) -> tuple[int, list[ToolCall]]:
    start = -1
    calls: list[ToolCall] = []
    for position, info, body in _blocks(text):
        words = info.split()
        if len(words) == 2 and words[0] in ("tool", "tool_call"):
            calls.append(_call(words[1], body.strip() or "{}"))
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
    except ValueError:
        return arguments
    if not isinstance(parsed, dict):
        return arguments
    return json.dumps({**parsed, name: value + "\n" if "\n" in value else value}, ensure_ascii=False)


def _named(body: str, tools: Sequence[str]) -> ToolCall | None:
    """{"name": ..., "arguments": {...}}, with `parameters` or `input` for the latter."""
    try:
        parsed = json.loads(body)
    except ValueError:
        match = re.match(
            r'\s*\{\s*"name"\s*:\s*"([\w.-]+)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(.*)\}\s*$', body, re.S
        )
        return _call(match[1], match[2].strip()) if match and match[1] in tools else None
    if not isinstance(parsed, dict):
        return None
    name = parsed.get("name") or parsed.get("tool")
    if not isinstance(name, str):
        return None
    given = next((parsed[key] for key in ("arguments", "parameters", "input") if key in parsed), {})
    return _call(name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))


def _tagged(text: str, tools: Sequence[str]) -> tuple[int, list[ToolCall]]:
    start = -1
    calls: list[ToolCall] = []
    for match in _TAGGED.finditer(text):
        call = _named(match[1], tools)
        if call is not None:
            calls.append(call)
            start = match.start() if start < 0 else start
    return start, calls


def _react(text: str, tools: Sequence[str]) -> tuple[int, list[ToolCall]]:
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
        except ValueError:
            pass
    elif match[1] == "shell":
        rest = json.dumps({"command": rest}, ensure_ascii=False)
    return match.start(), [_call(match[1], rest or "{}")]


def _bash(text: str) -> tuple[int, list[ToolCall]]:
    found = [block for block in _blocks(text) if block[1].split()[:1] and block[1].split()[0] in _SHELLS]
    if len(found) != 1 or not found[0][2].strip():
        return -1, []
    return found[0][0], [_call("shell", json.dumps({"command": found[0][2]}, ensure_ascii=False))]


def _describe(tools: Sequence[Mapping[str, Any]]) -> str:
    lines: list[str] = []
    for tool in tools:
        function = tool["function"]
        lines.append(f"\n## {function['name']}\n{function.get('description', '').strip()}")
        parameters: Mapping[str, Any] = function.get("parameters") or {}
        lines.append(f"Arguments (JSON schema): {json.dumps(parameters, ensure_ascii=False)}")
    return "\n".join(lines)


def _alternating(pieces: Sequence[Piece]) -> list[Piece]:
    """Join neighbouring user messages: many chat templates refuse two in a row."""
    joined: list[Piece] = []
    for piece in pieces:
        if joined and piece.role == joined[-1].role == "user":
            first, second = joined[-1].chat["content"], piece.chat["content"]
            if isinstance(first, str) and isinstance(second, str):
                joined[-1] = piece_of({"role": "user", "content": f"{first}\n\n{second}"})
                continue
        joined.append(piece)
    return joined


def _shown(name: str, arguments: str) -> str:
    return f"```tool {name}\n{arguments}\n```"


class _TextEncoder(Encoder):
    """Messages without tool calls and tool results."""

    def _encode(self, message: Message) -> Piece:
        if message.tool_calls:
            text = message.extras.get("text")
            if not isinstance(text, str):
                calls = "\n".join(_shown(call.name, call.arguments) for call in message.tool_calls)
                text = f"{message.content}\n\n{calls}" if message.content else calls
            return piece_of({"role": "assistant", "content": text})
        if message.role == "tool":
            return piece_of({"role": "user", "content": f"Result of {message.name}:\n{message.content}"})
        return super()._encode(message)
