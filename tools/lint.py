"""new_findings: what ruff says about the lines that a patch adds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from .patch import Patch

LINT_S = 60.0
"""Longest ruff may take on one file."""


def ruff() -> list[str] | None:
    """The command of ruff on this machine, or None."""
    beside = Path(sys.executable).with_name("ruff")
    found = str(beside) if beside.exists() else shutil.which("ruff")
    if found is not None:
        return [found]
    return [sys.executable, "-m", "ruff"] if find_spec("ruff") is not None else None


def new_findings(patch: Patch) -> int | None:
    """Findings of ruff's default rules on added lines that the file did not have before; None when it was
    not measured (no ruff, no Python file, or texts unknown). The repository's own ruff configuration is not
    read: it would be code of an untrusted repository deciding its own reward."""
    command = ruff()
    files = {
        path: text
        for path, text in patch.after.items()
        if text is not None and path.endswith((".py", ".pyi"))
    }
    if command is None or not files:
        return None
    added = _added_lines(patch)
    total = 0
    for path, text in files.items():
        after, before = _findings(command, path, text), _findings(command, path, patch.before.get(path) or "")
        if after is None or before is None:
            return None
        known = Counter(code for _, code in before)
        kept = Counter(code for line, code in after if line not in added.get(path, set()))
        moved = known - kept
        for line, code in after:
            if line in added.get(path, set()):
                if moved[code] > 0:
                    moved[code] -= 1
                else:
                    total += 1
    return total


def _added_lines(patch: Patch) -> dict[str, set[int]]:
    return {
        item.path: {
            line.target_line_no for hunk in item for line in hunk if line.is_added and line.target_line_no
        }
        for item in patch.parsed
    }


def _findings(command: list[str], path: str, text: str) -> list[tuple[int, str]] | None:
    if not text:
        return []
    try:
        done = subprocess.run(
            [
                *command,
                "check",
                "--isolated",
                "--no-cache",
                "--output-format=json",
                f"--stdin-filename={Path(path).name}",
                "-",
            ],
            input=text.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=LINT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode not in (0, 1):
        return None
    return [(item["location"]["row"], item["code"] or "syntax") for item in json.loads(done.stdout)]
