"""Journal: what an event log already knows, so that nothing is paid for, done or written twice.

One idea, "recall or do": whoever is about to do something asks the journal first, by what names the thing in
its run, and does it only when the answer is None. The client asks for model calls, the agent loop for tool
results and prompts, the solve for the baseline and the reproduction, the search for rollouts. The same
object serves resume (the log ends in the middle) and replay (the log is whole, no model is reached).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from ...agents.journal import RecordedTool
from ...tools.errors import RecordError
from .decisions import Assessed, Opined, RolledOut
from .event import SEARCH, TYPES, Event, Line
from .events import BaselineMeasured, Called, CheckPlanned, Cleaned, Reproduced, Said, ToolUsed

E = TypeVar("E", bound=Event)
Name = tuple[Any, ...]
_KEPT = (Assessed, BaselineMeasured, CheckPlanned, Cleaned, Opined, Reproduced, RolledOut)
"""What `recall` answers."""


class Journal:
    """Built from the events of an earlier process. Empty for a new run."""

    def __init__(self, events: Iterable[Line] = (), *, replay: bool = False) -> None:
        """With `replay` everything is done again but for asking a model: a call that the log does not hold is
        a RecordError of the client, nothing counts as done or written, and `tree_hashes` says what each step
        must come to."""
        self.replay = replay
        earlier = list(events)
        self.events: list[Line] = [] if replay else earlier
        """What a resumed run takes over."""
        self.tree_hashes: dict[str, str] = {}
        self._calls: dict[tuple[str, int], Line] = {}
        self._overflows: dict[tuple[str, int], str] = {}
        self._texts: dict[str, str] = {}
        self._tools: dict[str, Line] = {}
        self._known: set[Name] = set()
        self._kept: dict[Name, Event] = {}
        self._decided: Counter[str] = Counter()
        for line in earlier:
            self._take(line)
        for line in self.events:
            self._note(line)

    def _take(self, line: Line) -> None:
        """Answers for the client and the agent loop, in a resumed run and in a replay alike."""
        type = line["type"]
        if type == Called.type:
            self._calls[line["scope"], line["index"]] = line
        elif type == "call_failed" and line["kind"] == "overflow":
            self._overflows[line["scope"], line["index"]] = line["error"]
        elif type == Said.type and not line["sampled"]:
            self._texts[line["id"]] = line["content"]
        elif type == RolledOut.type and self.replay:
            for turn, step in enumerate(line["result"]["steps"]):
                if step["tree_hash"]:
                    self.tree_hashes[line["node"] + ".0" * turn] = step["tree_hash"]
        elif type == ToolUsed.type:
            self._tools[line["message"]] = line

    def _note(self, line: Line) -> None:
        """What a resumed run need not do or say again."""
        cls = TYPES.get(line["type"])
        if cls is None:
            return
        if cls.key is not None:
            name = (cls.type, *(line[part] for part in cls.key))
            self._known.add(name)
            if cls in _KEPT:
                self._kept[name] = cls.from_json(line)
        elif line.get("by") == SEARCH:
            self._decided[_content(line["type"], line)] += 1

    def recall(self, kind: type[E], *name: Any) -> E | None:
        """The event of this kind and name, from an earlier process or this one; None: do it, and append it."""
        return self._kept.get((kind.type, *name))  # type: ignore[return-value]

    def all(self, kind: type[E]) -> Iterator[E]:
        """Every event of a kind that `recall` knows, in order."""
        return (event for event in self._kept.values() if isinstance(event, kind))

    def seen(self, event: Event) -> bool:
        """Whether the log already holds this event; if not, it is taken to hold it from now on."""
        name = event.name_in_run
        if name is None:
            return self._said(event)
        if name in self._known:
            return True
        self._known.add(name)
        if isinstance(event, _KEPT):
            self._kept[name] = event
        return False

    def _said(self, event: Event) -> bool:
        """An event that nothing names was said before as often as an earlier process decided the same."""
        if not self._decided or getattr(event, "by", None) != SEARCH:
            return False
        content = _content(event.type, event.to_json())
        if self._decided[content] <= 0:
            return False
        self._decided[content] -= 1
        return True

    def lookup(self, scope: str, index: int, request_sha256: str) -> Line | None:
        """See `agents.journal`."""
        line = self._calls.get((scope, index))
        if line is None:
            error = self._overflows.get((scope, index))
            return None if error is None else {"overflow": error}
        if line["request_sha256"] != request_sha256:
            if not self.replay:
                return None
            raise RecordError(f"the replay diverges: call {index} of {scope} is asked something else now")
        return line

    def tool(self, message_id: str) -> RecordedTool | None:
        """See `agents.journal`."""
        line, text = self._tools.get(message_id), self._texts.get(message_id)
        if line is None or text is None:
            return None
        return RecordedTool(line.get("text", text), line["ok"])

    def message(self, id: str) -> str | None:
        """See `agents.journal`."""
        return self._texts.get(id)

    @property
    def elapsed_s(self) -> float:
        """Wall seconds that earlier processes worked on this run; the time between them does not count."""
        pairs = zip(self.events, self.events[1:], strict=False)
        return sum(max(0.0, b["at"] - a["at"]) for a, b in pairs if b["type"] != "resumed")


def _content(type: str, fields: Line) -> str:
    """What a line says. Fields that are null count as left out: older runs left out others."""
    said = {k: v for k, v in fields.items() if v is not None and k not in ("seq", "at", "type")}
    return json.dumps([type, said], sort_keys=True)
