"""Matrix: which candidate passes which test, from the evaluations that the run made anyway."""

from __future__ import annotations

from dataclasses import dataclass

from ...record.schema import PatchEntry
from .view import View

_EXECUTED = frozenset({"visible", "reproduction", "regression"})
_GOOD = frozenset({"passed", "xfailed"})


@dataclass(frozen=True, slots=True)
class Matrix:
    """Of one run. A test that was not run on every candidate is left out: what was not run did not fail."""

    passes: dict[str, dict[str, bool]]
    """Node of a distinct candidate → test id → whether it passes."""
    patches: dict[str, PatchEntry]
    """Node → its patch."""
    written: dict[str, str]
    """Path → text of the test files that the run wrote itself."""

    def generated(self, path: str) -> list[str]:
        """Tests of a file that the run wrote."""
        return [test for test in self._tests if test == path or test.startswith(f"{path}::")]

    @property
    def trusted(self) -> list[str]:
        """Tests that the run did not write and that some candidate passes: the others are of something else."""
        own = {test for path in self.written for test in self.generated(path)}
        return [
            test for test in self._tests if test not in own and any(row[test] for row in self.passes.values())
        ]

    @property
    def _tests(self) -> list[str]:
        return sorted(next(iter(self.passes.values()), {}))


def matrix(view: View, *, include_offline: bool) -> Matrix:
    """Candidates that a program made are left out unless asked for, as are duplicates and infrastructure failures."""
    record = view.record
    known = {patch.id: patch for patch in record.patches}
    patches = {
        node.id: known[node.patch]
        for node in record.nodes
        if node.patch in known
        and node.duplicate_of is None
        and node.exit_status not in (None, "infrastructure", "duplicate")
        and (include_offline or not view.by_program(node.id))
    }
    last: dict[tuple[str, str], dict[str, str]] = {}
    for found in record.evaluations:
        if found.valid and found.kind in _EXECUTED and found.node in patches:
            last[found.node, found.kind] = found.tests
    outcomes: dict[str, dict[str, str]] = {}
    for (node, _), tests in last.items():
        outcomes.setdefault(node, {}).update(tests)
    common = set[str]().union(*outcomes.values()).intersection(*outcomes.values())
    passes = {
        node: {test: tests[test] in _GOOD for test in sorted(common)} for node, tests in outcomes.items()
    }
    written = {**record.task.test_files, **record.task.later_tests}
    return Matrix(passes, {node: patches[node] for node in passes}, written)
