"""Thinking: what a model without a reasoning parser leaves in its text is reasoning, and never holds a call."""

from __future__ import annotations

import re
from dataclasses import replace

from ..message import Message

_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|seed:think"
_OPEN = re.compile(
    rf"^[ \t]*(?:<(?P<tag>{_NAMES})>|◁think▷|\[THINK\]|<\|channel\|>\s*analysis\s*<\|message\|>|<\|START_THINKING\|>)",
    re.MULTILINE | re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"</(?:{_NAMES})>|◁/think▷|\[/THINK\]|<\|end\|>|<\|END_THINKING\|>|<\|channel\|>\s*final\s*<\|message\|>",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[^\n]*\n|<tool_call>|<function[=_ ]|<invoke |\[TOOL_CALLS\]", re.MULTILINE
)
_MARKS = ("think", "thought", "reason", "reflection", "scratchpad", "<|channel|>")


def split(text: str) -> tuple[str, str]:
    """(reasoning, the rest) of a text; thinking that has no end runs to the end of the text."""
    low = text.lower()
    if not any(mark in low for mark in _MARKS):
        return "", text
    thoughts: list[str] = []
    said: list[str] = []
    closing, opening = _CLOSE.search(text), _OPEN.search(text)
    if (
        closing is not None
        and closing[0] != "<|end|>"
        and (opening is None or closing.start() < opening.start())
    ):
        spoken = _SPOKEN.search(text)
        # The template opened it: everything up to here was thought, unless it stands inside a call's text.
        if spoken is None or spoken.start() > closing.start() or _CLOSE.search(text, closing.end()) is None:
            thoughts.append(text[: closing.start()])
            text = text[closing.end() :]
    at = 0
    while (opening := _OPEN.search(text, at)) is not None:
        inside = _enclosing(text, at, opening.start())
        if inside is not None:
            said.append(text[at:inside])
            at = inside
            continue
        said.append(text[at : opening.start()])
        closing = _CLOSE.search(text, opening.end())
        end = closing.start() if closing else len(text)
        thoughts.append(text[opening.end() : end])
        at = closing.end() if closing else len(text)
    said.append(text[at:])
    return "\n".join(part.strip() for part in thoughts if part.strip()), "".join(said)


def _enclosing(text: str, at: int, tag: int) -> int | None:
    """The end of a fenced block that begins before `tag` and ends after it: its text is nobody's thought."""
    while (
        fence := re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n", re.MULTILINE).search(text, at, tag)
    ) is not None:
        mark = fence[1]
        closed = re.compile(rf"^[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$", re.MULTILINE).search(
            text, fence.end()
        )
        end = closed.end() if closed else len(text)
        if end > tag:
            return end
        at = end
    return None


def apart(message: Message) -> Message:
    """The message with its thinking as reasoning; the whole text stays in `extras["text"]`."""
    thought, said = split(message.content)
    if said == message.content:
        return message
    reasoning = "\n".join(part for part in (message.reasoning, thought) if part)
    extras = {**message.extras, "text": message.content}
    return replace(message, content=said.strip(), reasoning=reasoning or None, extras=extras)
