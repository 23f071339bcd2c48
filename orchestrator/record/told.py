"""What a listener is told besides events: seen on a screen, never written down."""

from __future__ import annotations

from typing import TypedDict


class Notice(TypedDict):
    """Where the work stands (`progress`), or what people should know (`warning`)."""

    line: str


class CandidateSeen(TypedDict):
    """A candidate was measured (`candidate`)."""

    node: str
    summary: str
    green: bool
