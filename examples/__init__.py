"""The bundled example: a small repository with an issue and a failing test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent / "parking"
_IDENTITY = (
    "-c",
    "user.name=swe-agent",
    "-c",
    "user.email=swe-agent@localhost",
    "-c",
    "commit.gpgsign=false",
)


def materialise(destination: Path) -> Path:
    """Copy the example to `destination` and make it a git repository with one commit. Returns the path.

    An existing copy is used as it stands; one that a full disk or a signal cut short never stands there.
    Raises: OSError.
    """
    if (destination / ".git").exists():
        return destination
    draft = destination.with_name(f".{destination.name}.{os.getpid()}.new")
    try:
        shutil.copytree(FOLDER / "repo", draft, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
        for arguments in (["init", "-q"], ["add", "-A"], [*_IDENTITY, "commit", "-qm", "The car park"]):
            done = subprocess.run(["git", *arguments], cwd=draft, capture_output=True, text=True)
            if done.returncode:
                raise OSError(f"git {arguments[-1]}: {done.stderr.strip()}")
        draft.replace(destination)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return destination


def issue_text() -> str:
    """The issue, as Markdown."""
    return (FOLDER / "issue.md").read_text(encoding="utf-8")
