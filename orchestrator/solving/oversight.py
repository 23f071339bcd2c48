"""oversee: look through a finished run's tool calls for attempts to see the future."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ...tools.audit import audit
from ..record.events import Audited
from ..record.recorder import Recorder


def oversee(events: Iterable[Mapping[str, Any]], recorder: Recorder, package: str) -> list[str]:
    """Write an `audit` event per node (flags may be empty) and return the flags in words. `package` is the name
    of the repository under repair."""
    calls: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for event in events:
        if event["type"] == "tool":
            calls[event["node"]].append((event["name"], event["arguments"]))
    words: list[str] = []
    for node, made in sorted(calls.items()):
        flags = audit(made, packages=[package])
        recorder.append(Audited(node=node, flags=[asdict(flag) for flag in flags]))
        words += [f"{flag.kind}: {flag.evidence}" for flag in flags]
    return words
