"""MemoryJournal: the calls of a run kept in memory, to be answered again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swe_agent.agents.models.calls import Call
from swe_agent.tools.errors import RecordError


class MemoryJournal:
    """An observer that keeps every call, and the journal that answers from them."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, int], tuple[str | None, Mapping[str, Any]]] = {}

    def called(self, call: Call) -> None:
        kept = {"model": call.model, "served_model": call.served_model, "response": call.response}
        self._calls[call.scope, call.index] = (call.request_sha256, kept)

    def call_failed(
        self, *, scope: str, index: int, model: str, kind: str, error: str, attempts: int
    ) -> None:
        if kind == "overflow":
            self._calls[scope, index] = (None, {"overflow": error})

    def lookup(self, scope: str, index: int, request_sha256: str) -> Mapping[str, Any] | None:
        """Raises: RecordError when the call was made with another request."""
        known = self._calls.get((scope, index))
        if known is None:
            return None
        digest, kept = known
        if digest is not None and digest != request_sha256:
            raise RecordError(
                f"the replay diverges at call {index} of {scope}: it is asked something else now "
                f"({request_sha256[:12]}, recorded {digest[:12]})"
            )
        return kept
