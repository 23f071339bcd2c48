"""compact: shorten a conversation that no longer fits, keeping what the work needs.

Only near the limit: eliding history early breaks prompt caching and costs accuracy.
"""

from __future__ import annotations

import re

from ..prompts import render, unmarked
from .conversation import Conversation, Entry

RESULTS = 4
"""Tool results kept, newest last."""
RESULT_CHARS = 3000
DIFF_CHARS = 20_000
_LEAST_EMBEDDED = 1000
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,[A-Za-z0-9+/=_-]{200,}")
_ENCODED = re.compile(r"(?:[A-Za-z0-9+/=_-]{60,}\r?\n[ \t>]*){12,}[A-Za-z0-9+/=_-]*|[A-Za-z0-9+/=_-]{2000,}")
_CODE = re.compile(
    r"`|File \"|\w\(|\w\.\w|[\w-]+/[\w.-]+|\w+(?:Error|Exception|Warning)\b|^\s*(?:def|class|import|from)\s|::"
)


def compact(conversation: Conversation, diff: str) -> tuple[list[Entry], str]:
    """The entries to keep (system prompt and task) and one message that stands for all the others: the
    plan in the role's last words, the diff, and the last results. No model is asked."""
    head = conversation.entries[:2]
    plan, results = "", list[str]()
    for entry in reversed(conversation.entries[2:]):
        message = entry.message
        if message.role == "assistant" and not plan:
            plan = message.reasoning or message.content
        elif message.role == "tool":
            results.append(f"{message.name}: {clip(unmarked(message.content), RESULT_CHARS)}")
    recent = "\n\n".join(reversed(results[:RESULTS]))
    summary = render(
        "compacted",
        plan=clip(plan.strip(), RESULT_CHARS) or "(none was written down)",
        patch=clip(diff, DIFF_CHARS) or "(no change yet)",
        results=recent or "(none)",
    )
    return head, summary


def shorten(text: str, limit: int) -> str:
    """A task longer than `limit` characters: its head, its tail, and of what lies between the lines that name
    code, in order."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 4 // 10], text[-(limit * 2 // 10) :]
    room = limit - len(head) - len(tail)
    kept: list[str] = []
    for line in text[len(head) : -len(tail)].splitlines():
        if len(line) <= 400 and _CODE.search(line) and line not in kept:
            room -= len(line) + 1
            if room < 0:
                break
            kept.append(line)
    between = "\n".join(
        [f"[... {len(text) - limit} characters left out; of these lines name code: ...]", *kept]
    )
    return f"{head}\n{between}\n[...]\n{tail}"


def without_embedded(text: str) -> str:
    """Without the bytes of pictures and other encoded data that people paste: they say nothing as text."""
    if len(text) < _LEAST_EMBEDDED:
        return text
    text = _DATA_URI.sub(lambda m: f"[{m[1] or 'data'}, {len(m[0]) * 3 // 4000} kB, left out]", text)
    return _ENCODED.sub(lambda m: f"[{len(m[0])} characters of encoded data left out]", text)


def clip(text: str, limit: int) -> str:
    """Head and tail of a text longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
