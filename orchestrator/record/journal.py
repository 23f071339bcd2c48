"""RunJournal: what an event log already knows, so that nothing is paid for or written twice.

It answers model calls and tool results by scope, and tells the log which events it already holds. The
same object serves resume (the log ends in the middle) and replay (the log is whole, no model is reached).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...agents.observer import RecordedTool
from ...tools.errors import RecordError

_KEYS: Mapping[str, tuple[str, ...]] = {
    "run_started": (),
    "toolset": ("name",),
    "agent": ("name",),
    "message": ("id",),
    "call": ("scope", "index"),
    "tool": ("message",),
    "baseline": (),
    "reproduction": (),
    "hygiene": ("node", "patch"),
    "audit": ("node",),
}
"""Event types that are written once per run, and the fields that name one."""


class RunJournal:
    """Built from the events of an earlier run. Empty for a new one."""

    def __init__(self, events: Iterable[Mapping[str, Any]] = (), *, replay: bool = False) -> None:
        """With `replay` everything is done again but for asking a model: a call that the log does not hold is
        a RecordError of the client, nothing counts as done or written, and `tree_hashes` says what each step
        must come to."""
        self.replay = replay
        earlier = list(events)
        self.events: list[Mapping[str, Any]] = [] if replay else earlier
        """What a resumed run takes over."""
        self.tree_hashes: dict[str, str] = {}
        self._calls: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._overflows: dict[tuple[str, int], str] = {}
        self._texts: dict[str, str] = {}
        self._tools: dict[str, Mapping[str, Any]] = {}
        self._known: set[tuple[Any, ...]] = set()
        for event in earlier:
            type = event["type"]
            if type in _KEYS and not replay:
                self._known.add(self._key(type, event))
            if type == "call":
                self._calls[event["scope"], event["index"]] = event
            elif type == "call_failed" and event["kind"] == "overflow":
                self._overflows[event["scope"], event["index"]] = event["error"]
            elif type == "message" and not event["sampled"]:
                self._texts[event["id"]] = event["content"]
            elif type == "rollout" and replay:
                self._expect(event)
            elif type == "tool":
                self._tools[event["message"]] = event

    def lookup(self, scope: str, index: int, request_sha256: str) -> Mapping[str, Any] | None:
        """See `agents.models.calls.Journal`."""
        event = self._calls.get((scope, index))
        if event is None:
            error = self._overflows.get((scope, index))
            return None if error is None else {"overflow": error}
        if event["request_sha256"] != request_sha256:
            if not self.replay:
                return None
            raise RecordError(f"the replay diverges: call {index} of {scope} is asked something else now")
        return event

    def tool(self, message_id: str) -> RecordedTool | None:
        """See `agents.observer.TurnJournal`."""
        event, text = self._tools.get(message_id), self._texts.get(message_id)
        if event is None or text is None:
            return None
        return RecordedTool(event.get("text", text), event["ok"])

    def message(self, id: str) -> str | None:
        """See `agents.observer.TurnJournal`."""
        return self._texts.get(id)

    def _expect(self, event: Mapping[str, Any]) -> None:
        for turn, step in enumerate(event["result"]["steps"]):
            if step["tree_hash"]:
                self.tree_hashes[event["node"] + ".0" * turn] = step["tree_hash"]

    @property
    def elapsed_s(self) -> float:
        """Wall seconds that earlier processes worked on this run; the time between them does not count."""
        pairs = zip(self.events, self.events[1:], strict=False)
        return sum(max(0.0, b["at"] - a["at"]) for a, b in pairs if b["type"] != "resumed")

    def last(self, type: str) -> Mapping[str, Any] | None:
        """The newest event of a type."""
        return next((event for event in reversed(self.events) if event["type"] == type), None)

    def seen(self, type: str, fields: Mapping[str, Any]) -> bool:
        """Whether the log already holds this event; if not, it is taken to hold it from now on."""
        if type not in _KEYS:
            return False
        key = self._key(type, fields)
        if key in self._known:
            return True
        self._known.add(key)
        return False

    @staticmethod
    def _key(type: str, fields: Mapping[str, Any]) -> tuple[Any, ...]:
        return (type, *(fields[name] for name in _KEYS[type]))
