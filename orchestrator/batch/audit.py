"""Leak audit: did a trajectory look at what it should not have seen?

Flags are what was tried, with `(refused)` where the command failed: history that may hold the fix
(other branches, reflog, unreachable objects), fetching from the network, other copies of the project
(package indexes, site-packages of another release), and the harness's own files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...tools.errors import RecordError
from ..record.events import read_events

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("history: other branches", re.compile(r"\bgit\b[^\n;|&]*\b(log|show-branch|rev-list|for-each-ref|branch|stash)\b[^\n;|&]*(--all\b|--remotes\b|--branches\b|\s-[ar]+\b)")),
    ("history: reflog or lost objects", re.compile(r"\bgit\b[^\n;|&]*\b(reflog|fsck|cat-file\s+--batch-all-objects|verify-pack|unpack-objects)\b|\.git/(logs|packed-refs|FETCH_HEAD|ORIG_HEAD)")),
    ("history: remote", re.compile(r"\bgit\b[^\n;|&]*\b(fetch|pull|clone|ls-remote|remote\s+(add|update|set-url))\b")),
    ("network: package index", re.compile(r"\b(pip3?|uv|conda|mamba|easy_install|poetry)\b[^\n;|&]*\b(download|install|search|index|add)\b")),
    ("network: download", re.compile(r"\b(curl|wget)\b|urllib\.request|requests\.get\(|https?://(api\.)?github\.com|raw\.githubusercontent")),
    ("harness: evaluation files", re.compile(r"/eval\.sh\b|FAIL_TO_PASS|PASS_TO_PASS|SWE-bench.*\.(jsonl?|parquet)|test_patch")),
)  # fmt: skip
_TEXT_TOOLS = ("shell", "bash", "run", "execute")


def audit_run(events: Path) -> tuple[str, ...]:
    """Flags of one finished trajectory, each once, in order. A log that cannot be read is a flag too."""
    try:
        found = [flag for event in read_events(events) for flag in _flags(event)]
    except (OSError, RecordError) as error:
        return (f"not audited: {error}",)
    refused = {flag for flag, ok in found if not ok}
    accepted = {flag for flag, ok in found if ok}
    return tuple(sorted(accepted) + sorted(f"{flag} (refused)" for flag in refused - accepted))


def _flags(event: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    if event.get("type") != "tool":
        return
    arguments = event.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = {"command": arguments}
    if not isinstance(arguments, dict):
        return
    if str(event.get("name", "")).lower() in _TEXT_TOOLS:
        text = "\n".join(value for value in arguments.values() if isinstance(value, str))
    else:  # of file tools only the path counts, not what is written
        text = " ".join(str(arguments.get(key, "")) for key in ("path", "file", "directory", "glob"))
    for name, pattern in _RULES:
        if pattern.search(text):
            yield name, bool(event.get("ok", True))
