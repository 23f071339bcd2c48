"""CoverageMap: which test executes which lines, and so which tests a patch can concern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..patch import Patch


@dataclass(frozen=True)
class CoverageMap:
    """Test id → file (relative to the root) → lines that the test executed, on the tree it was made on.

    Lines run while modules are imported belong to no test: a change there is told by file.
    """

    lines: Mapping[str, Mapping[str, frozenset[int]]]
    cut_off: bool = False
    """The time was over before all tests had run."""

    @classmethod
    def of(cls, covered: Mapping[str, Mapping[str, Iterable[int]]], *, cut_off: bool = False) -> CoverageMap:
        return cls(
            {test: {path: frozenset(n) for path, n in files.items()} for test, files in covered.items()},
            cut_off,
        )

    @cached_property
    def by_file(self) -> Mapping[str, Mapping[str, frozenset[int]]]:
        """File → test id → lines."""
        turned: dict[str, dict[str, frozenset[int]]] = {}
        for test, files in self.lines.items():
            for path, lines in files.items():
                turned.setdefault(path, {})[test] = lines
        return turned

    def covering(self, path: str, lines: Iterable[int]) -> list[str]:
        """Tests that execute any of the lines, those that execute most of them first."""
        wanted = frozenset(lines)
        hits = {test: len(seen & wanted) for test, seen in self.by_file.get(path, {}).items()}
        return sorted((test for test, count in hits.items() if count), key=lambda test: (-hits[test], test))


def select(patch: Patch, coverage: CoverageMap, *, limit: int | None = None) -> list[str]:
    """Ids of the tests that execute the lines a patch touches, nearest first, at most `limit`.

    Where no test executes the touched lines themselves (module level, new functions) the tests that execute
    anything in the file; changed test files stand for themselves. An empty list means that nothing is
    known: run the whole suite. A selection is for quick feedback, never for acceptance.

    Raises: PatchError when the patch is malformed.
    """
    weights: dict[str, float] = {}
    for path, lines in touched_lines(patch).items():
        found = coverage.covering(path, lines)
        others = [] if found else list(coverage.by_file.get(path, ()))
        for rank, test in enumerate(found or others):
            weights[test] = (
                weights.get(test, 0.0) + (2.0 if found else 1.0) - rank / (2 * len(found or others))
            )
        for test in coverage.lines:
            if test.partition("::")[0] == path:
                weights[test] = weights.get(test, 0.0) + 4.0
    ordered = sorted(weights, key=lambda test: (-weights[test], test))
    return ordered if limit is None else ordered[:limit]


def touched_lines(patch: Patch) -> dict[str, set[int]]:
    """File on the base side → its removed lines and, for an insertion, the lines on both sides of it.

    Raises: PatchError when the patch is malformed.
    """
    touched: dict[str, set[int]] = {}
    for item in patch.parsed:
        name = item.source_file or ""
        path = name[2:] if name.startswith("a/") else name
        if path in ("", "/dev/null"):
            continue
        lines = touched.setdefault(path, set())
        for hunk in item:
            at = hunk.source_start
            for line in hunk:
                if line.is_removed:
                    lines.add(at)
                    at += 1
                elif line.is_added:
                    lines.update(n for n in (at - 1, at) if n > 0)
                else:
                    at += 1
    return touched
