"""TurnObserver: hears of everything in a role's turn, in order; the orchestrator writes the record with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..tools.toolbox.tool import ToolResult
from .message import Message


class TurnObserver(Protocol):
    def message(
        self,
        id: str,
        message: Message,
        *,
        parent: str | None,
        agent: str,
        sampled: bool = False,
    ) -> None: ...

    def tool(
        self,
        id: str,
        *,
        agent: str,
        name: str,
        arguments: Mapping[str, object],
        result: ToolResult,
        duration_s: float,
    ) -> None: ...

    def nudged(self, *, agent: str, reason: str) -> None: ...

    def compacted(self, *, agent: str, kept: int, dropped: int) -> None: ...


class Silent:
    """A TurnObserver that keeps nothing."""

    def message(self, id: str, message: Message, **fields: Any) -> None: ...

    def tool(self, id: str, **fields: Any) -> None: ...

    def nudged(self, **fields: Any) -> None: ...

    def compacted(self, **fields: Any) -> None: ...
