"""The bundled example: a small repository with an issue and a failing test."""

from __future__ import annotations

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

    An existing copy is used as it stands.
    """
    if not (destination / ".git").exists():
        shutil.copytree(
            FOLDER / "repo",
            destination,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"),
        )
        for arguments in (["init", "-q"], ["add", "-A"], [*_IDENTITY, "commit", "-qm", "The car park"]):
            subprocess.run(["git", *arguments], cwd=destination, check=True, capture_output=True)
    return destination


def issue_text() -> str:
    """The issue, as Markdown."""
    return (FOLDER / "issue.md").read_text(encoding="utf-8")
