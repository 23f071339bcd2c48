"""rebuild: a conversation from the messages in an event log, so that a resumed run can fork it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...agents.conversation import Conversation
from ...agents.messages import message_from_record
from ...tools.errors import RecordError


def rebuild(events: Iterable[Mapping[str, Any]], tip: str) -> Conversation:
    """The path from the root of the message graph to `tip`. Raises: RecordError when a message is missing."""
    by_id = {event["id"]: event for event in events if event["type"] == "message"}
    path: list[Mapping[str, Any]] = []
    id: str | None = tip
    while id is not None:
        if id not in by_id:
            raise RecordError(f"the event log lacks message {id}")
        path.append(by_id[id])
        id = by_id[id]["parent"]
    talk = Conversation()
    results: list[Mapping[str, Any]] = []
    for event in reversed(path):
        if event["role"] == "tool":
            results.append(event)
            continue
        if results:
            talk.append(results[-1]["id"], message_from_record(results))
            results = []
        talk.append(event["id"], message_from_record([event]))
    if results:
        talk.append(results[-1]["id"], message_from_record(results))
    return talk
