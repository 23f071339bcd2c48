"""rebuild: a conversation from the messages in an event log, so that a resumed run can fork it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...agents.conversation import Conversation
from ...agents.message import Message
from ...tools.errors import RecordError


def rebuild(
    events: Iterable[Mapping[str, Any]], tip: str, pictures: Mapping[str, str] | None = None
) -> Conversation:
    """The path from the root of the message graph to `tip`; `pictures` by the names that the record gives
    them. Raises: RecordError when a message is missing."""
    by_id: dict[str, Mapping[str, Any]] = {}
    extras: dict[str, Mapping[str, object]] = {}
    for event in events:
        if event["type"] == "message":
            by_id[event["id"]] = event
        elif event["type"] == "call":
            extras[event["message"]] = event["response"].get("extras") or {}
    path: list[Mapping[str, Any]] = []
    id: str | None = tip
    while id is not None:
        if id not in by_id:
            raise RecordError(f"the event log lacks message {id}")
        path.append(by_id[id])
        id = by_id[id]["parent"]
    talk = Conversation()
    for event in reversed(path):
        talk.append(event["id"], Message.from_event(event, extras.get(event["id"]), pictures))
    return talk
