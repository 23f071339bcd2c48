"""Oversight: a finished run's tool calls, looked through for attempts to see the future.

The one leak audit: `oversee` writes its flags into the record, and whoever reports a run reads them there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ...tools.audit import Flag, audit
from ...tools.automation import automations
from ...tools.errors import RecordError
from ...tools.project.names import package_names
from ..record.events import Audited
from ..record.log import read_events
from ..record.recorder import Recorder
from .run_directory import RunDirectory


def oversee(
    events: Iterable[Mapping[str, Any]], recorder: Recorder, packages: Collection[str]
) -> tuple[str, ...]:
    """Write an `audit` event per node (flags may be empty) and return the flags in words, each once.
    `packages` are the names of the package under repair."""
    found = _audited(events, packages)
    for node, flags in found.items():
        recorder.append(Audited(node=node, flags=[asdict(flag) for flag in flags]))
    return _words(flag for flags in found.values() for flag in flags)


def recorded_flags(run: RunDirectory, *known: str) -> tuple[str, ...]:
    """The flags of a run in words: those of its record, else (it ended before it was audited) found now.
    A log that cannot be read is a flag too: what was not audited is not clean."""
    if not run.events.exists():
        return ()
    try:
        events = list(read_events(run.events))
    except (OSError, RecordError) as error:
        return (f"not audited: {error}",)
    audits = [event for event in events if event["type"] == "audit"]
    if audits:
        return _words(Flag(**flag) for event in audits for flag in event["flags"])
    names = package_names(run.repository, *known) if run.repository.is_dir() else known
    return _words(flag for flags in _audited(events, names).values() for flag in flags)


def _audited(events: Iterable[Mapping[str, Any]], packages: Collection[str]) -> dict[str, list[Flag]]:
    calls: dict[str, list[tuple[str, Mapping[str, object]]]] = defaultdict(list)
    for event in events:
        if event["type"] == "tool":
            calls[event["node"]].append((str(event.get("name", "")), _arguments(event.get("arguments"))))
    return {node: audit(made, packages=packages) for node, made in sorted(calls.items())}


def _arguments(value: object) -> Mapping[str, object]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _words(flags: Iterable[Flag]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{flag.kind}: {flag.evidence}" for flag in flags))


def cautions(patch: str, mask: Callable[[str], str]) -> Iterator[str]:
    """What a person should look at before the patch is published, a line each."""
    if mask(patch) != patch:
        yield "the patch shows what looks like a secret; look before publishing"
    for path in automations(patch):
        yield f"the patch changes {path}, which a forge or a commit runs: look at it"
