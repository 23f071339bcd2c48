"""Actions: what a workflow's runner reads of a step: outputs, the job summary, annotations.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands

Whatever people or models wrote is escaped: no text becomes a command of the runner or another output.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

MAX_SUMMARY_BYTES = 1_000_000
"""GitHub refuses a step's summary of more than 1 MiB."""


def set_outputs(file: Path | None, outputs: Mapping[str, str]) -> None:
    """Add outputs to GITHUB_OUTPUT; a value of several lines stands between marks that nobody can guess.
    Without a file they go to stdout as `name=value` lines."""
    if file is None:
        for name, value in outputs.items():
            print(f"{name}={_one_line(value)}")
        return
    with file.open("a", encoding="utf-8", errors="replace") as out:
        for name, value in outputs.items():
            mark = f"end-{secrets.token_hex(16)}"
            out.write(f"{name}<<{mark}\n{value}\n{mark}\n")


def add_summary(file: Path | None, markdown: str) -> None:
    """Add Markdown to GITHUB_STEP_SUMMARY."""
    if file is None:
        return
    data = (markdown.rstrip() + "\n").encode("utf-8", "replace")[:MAX_SUMMARY_BYTES]
    with file.open("ab") as out:
        out.write(data)


def annotate(
    level: Literal["notice", "warning", "error"], message: str, *, path: str = "", line: int | None = None
) -> None:
    """One annotation, shown beside the changed line where `path` is given."""
    properties = [f"file={_escape_property(path)}"] if path else []
    if path and line is not None:
        properties.append(f"line={line}")
    head = f"{level} {','.join(properties)}" if properties else level
    print(f"::{head}::{_escape(message)}", flush=True)


@contextmanager
def without_commands(enabled: bool) -> Iterator[None]:
    """Lines printed meanwhile are no commands of the runner, whatever they hold."""
    token = secrets.token_hex(16)
    if enabled:
        print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if enabled:
            print(f"::{token}::", flush=True)


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _one_line(text: str) -> str:
    return " ".join(text.split())
