"""TextMode: tools for models that take none. The schemas go into the system prompt, calls come back as
fenced text, and results go back as user messages.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ...tools.toolbox.tool_schema import ToolSchema
from ..message import Message
from .encoder import Encoder, Piece, piece_of
from .thinking import split

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


class TextMode:
    """Rewrites a conversation as plain text; `written` reads the calls."""

    def __init__(self) -> None:
        self._encoder = _TextEncoder()

    def pieces(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> list[Piece]:
        """The conversation without any tool message; the first message explains the tools."""
        described = f"{_INSTRUCTIONS}\n{_describe(tools)}"
        pieces = _alternating(self._encoder.pieces(messages))
        if pieces and pieces[0].role == "system":
            first = str(pieces[0].chat["content"])
            return [piece_of({"role": "system", "content": f"{first}\n\n{described}"}), *pieces[1:]]
        return [piece_of({"role": "system", "content": described}), *pieces]


def _describe(tools: Sequence[ToolSchema]) -> str:
    lines: list[str] = []
    for tool in tools:
        function = tool["function"]
        lines.append(f"\n## {function['name']}\n{function.get('description', '').strip()}")
        parameters = function.get("parameters") or {}
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
            else:
                text = split(text)[1].strip()
            return piece_of({"role": "assistant", "content": text})
        if message.role == "tool":
            return piece_of({"role": "user", "content": f"Result of {message.name}:\n{message.content}"})
        return super()._encode(message)
