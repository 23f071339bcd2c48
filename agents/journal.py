"""Journal: answers model calls, tool results and prompts from an interrupted or recorded run.

The client and the agent loop ask it first, so that a resumed run pays for nothing twice and sees the very
text it saw before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class RecordedTool:
    """A tool result of an earlier run."""

    text: str
    ok: bool


class CallJournal(Protocol):
    """What a client asks."""

    def lookup(self, scope: str, index: int, request_sha256: str) -> Mapping[str, Any] | None:
        """The recorded `response` (or the whole call event), or None when this call was never made;
        `{"overflow": message}` when the endpoint refused this prompt as too long (that outcome has an index
        of its own: the prompt that follows the compaction has the next).
        Raises: RecordError when a call of that scope and index was made with another request
        (a replay that diverges says where)."""
        ...


class TurnJournal(CallJournal, Protocol):
    """What the agent loop asks besides."""

    def tool(self, message_id: str) -> RecordedTool | None: ...

    def message(self, id: str) -> str | None:
        """Text of a system or user message said before under this id."""
        ...
