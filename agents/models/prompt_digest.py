"""prompt_sha256: which messages a call was sent, as one digest that can be checked against the record.

The digest is a hash chain, one link per message, so a client that keeps the chain of a conversation pays
for the new messages only, and the record checks a whole tree with one hash per message.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

Chain = bytes
_REPLACEMENT = "\ufffd".encode()
"""What the record holds for a lone surrogate, which no endpoint takes either."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
ROOT: Chain = hashlib.sha256(b"swe-trajectory/1").digest()


def picture_name(url: str) -> str:
    """A picture as the record names it: `sha256:<hex>` of what a data URL holds; any other URL is its name."""
    head, found, data = url.partition(";base64,")
    if not found or not head.startswith("data:"):
        return url
    return "sha256:" + hashlib.sha256(base64.b64decode(data)).hexdigest()


def _named(part: Mapping[str, Any]) -> Mapping[str, object]:
    if part.get("type") != "image_url":
        return part
    return {"type": "image_url", "image_url": {"url": picture_name(part["image_url"]["url"])}}


def canonical(message: Mapping[str, object]) -> bytes:
    """The bytes of an OpenAI-shaped message that count as prompt: role, content, the calls with their raw
    argument strings, and what a result answers; pictures count by their hash. Reasoning is not sent again by most endpoints and is kept
    beside; absent, null and blank content are one (some endpoints refuse an empty string)."""
    content = message.get("content") or ""
    if isinstance(content, str) and not content.strip():
        content = ""
    if isinstance(content, list):
        content = [_named(part) for part in content]
    told = message.get("tool_calls")
    calls = [
        [call.get("id"), call["function"]["name"], call["function"]["arguments"]]
        for call in (told if isinstance(told, (list, tuple)) else ())
    ]
    shape = [message["role"], content, calls, message.get("tool_call_id")]
    return _ENCODER.encode(shape).encode("utf-8", "replace").replace(_REPLACEMENT, b"?")


def link(message: Mapping[str, object]) -> bytes:
    """The digest of one message, which never changes and can be kept with it."""
    return hashlib.sha256(canonical(message)).digest()


def extend(chain: Chain, message: Mapping[str, object]) -> Chain:
    """The digest of a prompt that goes one message further."""
    return hashlib.sha256(chain + link(message)).digest()


def chain_of(links: Iterable[bytes]) -> str:
    """`prompt_sha256` from the kept digests of the messages."""
    chain = ROOT
    for digest in links:
        chain = hashlib.sha256(chain + digest).digest()
    return chain.hex()


def prompt_sha256(messages: Iterable[Mapping[str, object]]) -> str:
    """Digest (64 hex digits) of a whole prompt, the value of `Call.prompt_sha256`."""
    return chain_of(map(link, messages))
