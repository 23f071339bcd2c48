"""The message graph: exact prompts as a hash chain, and paths through the tree.

A message is stored once and names its parent. Walking from a root to a sampled message gives the exact
prompt of the call that sampled it, plus its answer; the chain digest of such a path is what the client
reported as `prompt_sha256`, so "exact" is checked and not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...agents.models.prompt_digest import ROOT, Chain, extend
from .schema import Message, Trajectory


def chains(messages: Sequence[Message]) -> dict[str, Chain]:
    """Message id → digest of its path. Messages come parents first."""
    found: dict[str, Chain] = {}
    for message in messages:
        above = found.get(message.parent or "", ROOT)
        found[message.id] = extend(above, wire(message))
    return found


def wire(message: Message) -> dict[str, Any]:
    """The message as it was sent (arguments as the raw string)."""
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images:
        parts = [{"type": "text", "text": message.content}] if message.content else []
        out["content"] = [
            *parts,
            *({"type": "image_url", "image_url": {"url": name}} for name in message.images),
        ]
    if message.tool_calls:
        out["tool_calls"] = [
            {
                "id": call.id,
                "type": call.type,
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    return out


class Graph:
    """Paths, children and calls of one record, indexed once."""

    def __init__(self, record: Trajectory) -> None:
        self.record = record
        self.messages = {message.id: message for message in record.messages}
        self.calls = {call.message: call for call in record.calls}
        self.nodes = {node.id: node for node in record.nodes}
        self.children: dict[str | None, list[str]] = {}
        for message in record.messages:
            self.children.setdefault(message.parent, []).append(message.id)

    def path(self, tip: str) -> list[Message]:
        """Messages from the root to `tip`, both included."""
        found: list[Message] = []
        at: str | None = tip
        while at is not None:
            message = self.messages[at]
            found.append(message)
            at = message.parent
        found.reverse()
        return found
