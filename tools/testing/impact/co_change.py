"""CoChange: which test files the past changed together with which sources, up to the commit, never beyond."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ...errors import RepositoryError
from .source_tree import SourceTree

COMMITS = 300
"""Of the past that changed one of the files, newest first, at most."""
_LARGEST = 40
"""A commit of more files says nothing about any two of them."""
_TIMEOUT_S = 4.0
_HALF = 60
"""Commits after which a memory counts half."""


@dataclass(frozen=True, slots=True)
class CoChange:
    """Commits of the past, newest first, each as the files it changed."""

    commits: tuple[frozenset[str], ...] = ()

    @classmethod
    def of(cls, tree: SourceTree, paths: Collection[str], timeout: float = _TIMEOUT_S) -> CoChange:
        """The commits that changed one of `paths`. What git cannot say in time is not known."""
        if not paths:
            return cls()
        try:
            said = tree.git(
                *("log", "--no-merges", "--no-renames", "--full-diff", "--name-only", "-z", "--format=%x01"),
                *(f"-n{COMMITS}", tree.commit, "--", *sorted(paths)),
                timeout=timeout,
            )
        except RepositoryError:
            return cls()
        commits = [
            frozenset(name.decode("utf-8", "surrogateescape").strip("\n") for name in part.split(b"\0"))
            for part in said.split(b"\x01")
        ]
        return cls(tuple(names - {""} for names in commits if len(names) <= _LARGEST))

    def with_path(self, path: str, tests: Iterable[str]) -> dict[str, float]:
        """Test file → how much of what changed `path` changed it too, in [0, 1)."""
        wanted, total, found = set(tests), 0.0, dict[str, float]()
        for age, names in enumerate(names for names in self.commits if path in names):
            weight = 0.5 ** (age / _HALF)
            total += weight
            for test in names & wanted:
                found[test] = found.get(test, 0.0) + weight / math.sqrt(max(1, len(names) - 1))
        return {test: value / (total + 2.0) for test, value in found.items()}
