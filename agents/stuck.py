"""StuckDetector: sees that a role goes in circles (repeated action, repeated error, alternating pair).

After the OpenHands stuck detector's list of patterns; monologues and empty messages are counted by the
loop itself, since they are not tool calls.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REPEATS = 3
"""Equal calls with equal results before the role is told."""
ALTERNATIONS = 3
"""A-B pairs before the role is told."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why the role is stuck; `template` names the prompt that tells it."""

    template: str
    what: str
    times: int


@dataclass(slots=True)
class StuckDetector:
    """Feed it every tool call; it answers when a pattern has just become complete."""

    _calls: deque[tuple[str, str]] = field(default_factory=lambda: deque[tuple[str, str]](maxlen=12))
    _errors: deque[str] = field(default_factory=lambda: deque[str](maxlen=12))

    def saw(self, name: str, arguments: Mapping[str, object] | str, text: str, ok: bool) -> Stuck | None:
        action = json.dumps([name, arguments], sort_keys=True, default=str)
        self._calls.append((action, hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()))
        self._errors.append("" if ok else text[:400])
        what = f"{name} {action[len(name) + 4 : -1]}"[:160]
        calls = list(self._calls)
        same = _run_length(calls)
        if same and same % REPEATS == 0:
            return Stuck("nudge_repeat", what, same)
        failed = _run_length(list(self._errors)) if not ok else 0
        if failed and failed % REPEATS == 0:
            return Stuck("nudge_errors", text[:200], failed)
        tail = calls[-2 * ALTERNATIONS :]
        if len(tail) == 2 * ALTERNATIONS and tail[0] != tail[1] and tail == tail[:2] * ALTERNATIONS:
            return Stuck("nudge_alternating", what, ALTERNATIONS)
        return None


def _run_length(items: list[Any]) -> int:
    count = 0
    for item in reversed(items):
        if item != items[-1]:
            break
        count += 1
    return count
