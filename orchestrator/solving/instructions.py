"""Instructions: what a repository tells agents (AGENTS.md and its kin), read as hints of the repository's authors.

They are data like the issue: they may say how tests are run and how code is written here; they are no orders, and they
can give nobody a tool or lift a wall. Read from the base commit, so that a patch cannot rewrite them.
https://agents.md: the file nearest to what is changed wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...tools.errors import RepositoryError
from ...tools.git import git
from ..record.events import Inference
from ..record.recorder import Recorder

NAMES = ("AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md")
MAX_CHARS = 6000
"""Of one file, and of all together."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """One file, cut to what fits."""

    path: str
    text: str


def read_instructions(repository: Path, base: str, issue: str = "") -> tuple[Instructions, ...]:
    """The root's file, and those of folders that the issue names, the nearest last; at most `MAX_CHARS` in all.
    In one folder the first of NAMES counts."""
    try:
        listed = git(repository, "ls-tree", "-r", "--name-only", "-z", base).split("\0")
    except RepositoryError:
        return ()
    found: list[Instructions] = []
    room = MAX_CHARS
    for path in reversed(_chosen(listed, issue)):  # the nearest has the room first
        text = git(repository, "show", f"{base}:{path}", check=False)
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
        if text and room > 0:
            found.append(Instructions(path, text if len(text) <= room else f"{text[:room]}\n[cut]"))
            room -= len(text)
    return tuple(reversed(found))


def tell_instructions(
    repository: Path, base: str, issue: str, recorder: Recorder
) -> tuple[Instructions, ...]:
    """The same, with a line in the record for each."""
    found = read_instructions(repository, base, issue)
    for item in found:
        recorder.append(
            Inference(what="instructions", value=item.path, why="the repository's; read as hints", flag=None)
        )
    return found


def _chosen(paths: Iterable[str], issue: str) -> list[str]:
    """Paths of the files that count, from the root to the nearest."""
    by_folder: dict[str, str] = {}
    for name in reversed(NAMES):
        for path in paths:
            if path == name or path.endswith(f"/{name}"):
                by_folder[path.removesuffix(name).rstrip("/")] = path
    words = set(re.findall(r"[\w.-]+(?:/[\w.-]+)+", issue))
    near = {str(parent) for word in words for parent in PurePosixPath(word).parents}
    folders = [folder for folder in by_folder if folder == "" or folder in near]
    return [
        by_folder[folder] for folder in sorted(folders, key=lambda folder: (folder.count("/"), len(folder)))
    ]
