"""Leak audit of a finished trajectory, from its event log: what `tools.audit` flags, in one line each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...tools.audit import audit
from ...tools.errors import RecordError
from ..record.log import read_events

_IMPORTED_AS = {"scikit-learn": ("sklearn",), "pvlib-python": ("pvlib",)}


def audit_run(events: Path, repo: str) -> tuple[str, ...]:
    """Flags of one trajectory on `owner/name`, each once: `kind: the command or path`. A log that cannot be
    read is a flag too: what was not audited is not clean."""
    name = repo.rpartition("/")[2]
    try:
        calls = list(_calls(events))
    except (OSError, RecordError) as error:
        return (f"not audited: {error}",)
    flags = audit(calls, packages=(name, *_IMPORTED_AS.get(name, ())))
    return tuple(dict.fromkeys(f"{flag.kind}: {flag.evidence}" for flag in flags))


def _calls(events: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for event in read_events(events):
        if event["type"] != "tool":
            continue
        arguments = event.get("arguments")
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except ValueError:
                arguments = {}
        if isinstance(arguments, dict):
            yield str(event.get("name", "")), arguments
