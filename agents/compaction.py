"""compact: shorten a conversation that no longer fits, keeping what the work needs.

Only near the limit: eliding history early breaks prompt caching and costs accuracy.
"""

from __future__ import annotations

from ..prompts import render, unmarked
from .conversation import Conversation, Entry

RESULTS = 4
"""Tool results kept, newest last."""
RESULT_CHARS = 3000
DIFF_CHARS = 20_000


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


def clip(text: str, limit: int) -> str:
    """Head and tail of a text longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
