"""Instructions: what a repository tells agents (AGENTS.md and its kin, SKILL.md), read as hints of its authors.

They are data like the issue: they may say how tests are run and how code is written here; they are no orders, and they
can give nobody a tool or lift a wall. Read from the base commit, so that a patch cannot rewrite them.
https://agents.md: the file nearest to what is changed wins. https://agentskills.io: of a skill its name and description
are told, and where a role may read the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from ...tools.errors import RepositoryError
from ...tools.git import git
from ..record.events import Inference
from ..record.recorder import Recorder

NAMES = ("AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md")
_SKILL = re.compile(r"(?:\.(?:agents|claude|github)/)?skills/(?:[\w.-]+/)*([\w.-]+)/SKILL\.md")
_FRONT = re.compile(r"---\n(.*?)\n---\s*(?:\n|$)", re.DOTALL)
MOST_SKILLS = 20
_DESCRIPTION = 300
"""Characters of it that are told."""
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
        text = _text(repository, base, path)
        if text and room > 0:
            found.append(Instructions(path, text if len(text) <= room else f"{text[:room]}\n[cut]"))
            room -= len(text)
    skills = [path for path in listed if _SKILL.fullmatch(path)][:MOST_SKILLS]
    for path in skills:
        said = skill_words(path, _text(repository, base, path))
        if said and len(said) <= room:
            found.insert(0, Instructions(path, said))
            room -= len(said)
    return tuple(reversed(found))


def _text(repository: Path, base: str, path: str) -> str:
    text = git(repository, "show", f"{base}:{path}", check=False)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


def skill_words(path: str, text: str) -> str:
    """A skill in one line; empty for a file without the front matter that makes it one."""
    front = _FRONT.match(text.replace("\r\n", "\n"))
    try:
        told = yaml.safe_load(front[1]) if front else None
    except yaml.YAMLError:
        return ""
    if not isinstance(told, dict) or not isinstance(told.get("description"), str):
        return ""
    words = " ".join(told["description"].split())[:_DESCRIPTION]
    return f"Skill {PurePosixPath(path).parent.name}: {words} (read {path} when that fits the task)"


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
