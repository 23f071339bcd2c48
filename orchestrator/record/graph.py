"""The message graph: exact prompts as a hash chain, and paths through the tree.

A message is stored once and names its parent. Walking from a root to a sampled message gives the exact
prompt of the call that sampled it, plus its answer; `chain` digests such a path incrementally, so that
checking "exact" costs one hash per message however long the conversation is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .schema import Message, Trajectory

Chain = bytes
ROOT: Chain = hashlib.sha256(b"swe-trajectory/1").digest()


def canonical(message: Mapping[str, Any]) -> bytes:
    """The bytes of an OpenAI-shaped message that count as prompt: role, content, the calls with their raw
    argument strings, and what a result answers. Reasoning is not sent again by most endpoints and is kept
    beside; absent, null and empty content are one."""
    calls = [
        [call.get("id"), call["function"]["name"], call["function"]["arguments"]]
        for call in message.get("tool_calls") or ()
    ]
    shape = [message["role"], message.get("content") or "", calls, message.get("tool_call_id")]
    return json.dumps(shape, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()


def extend(chain: Chain, message: Mapping[str, Any]) -> Chain:
    """The digest of a path that goes one message further."""
    return hashlib.sha256(chain + hashlib.sha256(canonical(message)).digest()).digest()


def prompt_sha256(messages: Iterable[Mapping[str, Any]]) -> str:
    """Digest (64 hex digits) of a whole prompt, the value of `call.prompt_sha256`."""
    chain = ROOT
    for message in messages:
        chain = extend(chain, message)
    return chain.hex()


def chains(messages: Sequence[Message]) -> dict[str, Chain]:
    """Message id → digest of its path. Messages come parents first."""
    found: dict[str, Chain] = {}
    for message in messages:
        above = ROOT if message.parent is None else found[message.parent]
        found[message.id] = extend(above, wire(message))
    return found


def wire(message: Message) -> dict[str, Any]:
    """The message as it was sent (arguments as the raw string)."""
    out: dict[str, Any] = {"role": message.role, "content": message.content}
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
