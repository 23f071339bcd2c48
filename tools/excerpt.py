"""Excerpt: the head and the tail of a long text."""

from __future__ import annotations

import re

_TERMINAL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def printable(text: str) -> str:
    """Output of a command without what only a terminal understands: colours, cursor moves, control
    characters. A carriage return within a line becomes a line feed, so that progress bars end up as lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _TERMINAL.sub("", text)


def excerpt(text: str, max_chars: int = 12_000, *, head_share: float = 0.4) -> str:
    """`text` itself when it is short enough, else its first and last lines around a line that says how
    much was left out. The result is at most `max_chars` plus that line. Lines are kept whole where
    possible."""
    if len(text) <= max_chars:
        return text
    head = text[: int(max_chars * head_share)]
    tail = text[len(text) - (max_chars - len(head)) :]
    if "\n" in head:
        head = head[: head.rindex("\n") + 1]
    if "\n" in tail[:-1]:
        tail = tail[tail.index("\n") + 1 :]
    left_out = text[len(head) : len(text) - len(tail)]
    note = f"[... {left_out.count(chr(10)):,} lines, {len(left_out):,} characters left out ...]"
    return f"{head}{'' if head.endswith(chr(10)) else chr(10)}{note}\n{tail}"


def clip_line(line: str, max_chars: int = 400) -> str:
    """One line, cut with a note of how many characters follow."""
    return line if len(line) <= max_chars else f"{line[:max_chars]} [+{len(line) - max_chars:,} characters]"
