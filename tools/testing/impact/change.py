"""Change: what is known of a change before any test is run: its files, the names it touches, the issue's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ...patch import Patch
from ..coverage_map import touched_lines
from .facts import words_of

_DEFINITION = re.compile(
    r"^([ \t]*)(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)|^([A-Za-z_]\w*)[ \t]*(?::[^=\n]+)?=[^=]"
)
_PATH = re.compile(r"[\w./-]+\.\w+")
_MARKED = re.compile(r"`+([^`\n]+)`+")


@dataclass(frozen=True, slots=True)
class Change:
    """Weights are in (0, 1]."""

    files: Mapping[str, float] = field(default_factory=dict[str, float])
    """Changed path → its share."""
    names: Mapping[str, float] = field(default_factory=dict[str, float])
    """Functions, classes and variables around the changed lines; what the changed lines use counts less."""
    words: Mapping[str, float] = field(default_factory=dict[str, float])
    """Words of the issue; what looks like code counts more."""

    @classmethod
    def of(
        cls, patch: Patch | None, issue: str = "", text_of: Callable[[str], str | None] = lambda path: None
    ) -> Change:
        """`text_of` gives a file's text on the base where the patch does not hold it. Raises: PatchError when
        the patch is malformed."""
        names: dict[str, float] = {}
        files: dict[str, float] = {}
        if patch is not None and not patch.is_empty:
            touched = touched_lines(patch)
            most = max((len(lines) for lines in touched.values()), default=1)
            for path in patch.files:
                lines = touched.get(path, set())
                files[path] = 0.5 + 0.5 * len(lines) / max(1, most)
                before = patch.before.get(path) or text_of(path) or ""
                for name in _around(before.splitlines(), lines):
                    names[name] = 1.0
            for name in _used(patch.text):
                names.setdefault(name, 0.25)
        return cls(files, names, issue_words(issue))


def _around(text: list[str], lines: set[int]) -> set[str]:
    """Definitions that enclose the lines (numbered from 1) or stand on them."""
    found = set[str]()
    for number in lines:
        if number > len(text):
            continue
        line = text[number - 1]
        indent = len(line) - len(line.lstrip()) if line.strip() else 10_000
        for above in range(number, max(0, number - 2000), -1):
            match = _DEFINITION.match(text[above - 1])
            if match is None:
                continue
            depth = len(match[1] or "")
            if above == number or (depth < indent and match[2]):
                found.add(match[2] or match[3])
                indent = depth
            if indent == 0:
                break
    return found


def _used(diff: str) -> set[str]:
    changed = [line[1:] for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return {word for line in changed for word in words_of(line)}


def issue_words(text: str) -> dict[str, float]:
    """Word → weight."""
    found: dict[str, float] = {}
    for word in words_of(text):
        shaped = "_" in word.strip("_") or word[1:] != word[1:].lower()
        found[word] = max(found.get(word, 0.0), 0.8 if shaped else 0.3)
    for part in _MARKED.findall(text):
        for word in words_of(part):
            found[word] = 1.0
    for path in _PATH.findall(text):
        found.setdefault(PurePosixPath(path).stem, 0.8)
    return found
