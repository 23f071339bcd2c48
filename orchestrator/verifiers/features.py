"""Features of a candidate: what was executed about it, and the shape of its patch; the same from a search as from a
record of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...tools.errors import PatchError
from ...tools.patch import Patch
from ...tools.testing.test_files import is_test_file
from ..record.schema import Evaluation as Recorded
from ..record.schema import Node, Trajectory
from ..search.node import Measurement

Features = Mapping[str, float | None]
"""Name → value; None was not measured."""
NAMES = (
    "reproduction_rate",
    "reproduction_tests",
    "regressions",
    "critic",
    "lines_added",
    "lines_removed",
    "files",
    "test_files",
)
"""Counts are taken as log(1 + n)."""


def features(evaluation: Measurement, patch: Patch) -> Features:
    """Of a candidate that the search measured."""
    passed = evaluation.reproduction
    broken = None if evaluation.broken is None else len(evaluation.broken)
    critic = None if evaluation.critic is None else evaluation.critic.mean
    return _features(sum(passed.values()), len(passed), broken, critic, patch)


def recorded_features(record: Trajectory, node: Node) -> Features | None:
    """Of a finished candidate as the record tells it; None without a patch, or where nothing was measured."""
    measured_as = node.duplicate_of or node.id
    patch = next((item for item in record.patches if item.id == node.patch), None)
    last: dict[str, Recorded] = {}
    for found in record.evaluations:
        mine = found.kind == "reproduction" or (
            found.kind == "regression" and isinstance(found.after, Mapping)
        )
        if found.node == measured_as and found.valid and mine:
            last[found.kind] = found
    if patch is None or not patch.text.strip() or not last:
        return None
    passed, tests = (last["reproduction"].f2p or (0, 0)) if "reproduction" in last else (0, 0)
    broken = len(last["regression"].after["broken"]) if "regression" in last else None
    critic = None if node.critic is None else node.critic.mean
    return _features(passed, tests, broken, critic, Patch(patch.text))


def _features(passed: int, tests: int, broken: int | None, critic: float | None, patch: Patch) -> Features:
    try:
        files, added, removed = patch.files, patch.added, patch.removed
    except PatchError:
        files, added, removed = (), 0, 0
    return {
        "reproduction_rate": passed / tests if tests else None,
        "reproduction_tests": math.log1p(tests),
        "regressions": None if broken is None else math.log1p(broken),
        "critic": critic,
        "lines_added": math.log1p(added),
        "lines_removed": math.log1p(removed),
        "files": math.log1p(len(files)),
        "test_files": math.log1p(sum(is_test_file(path) for path in files)),
    }


def columns(given: Features) -> list[float]:
    """Two per feature: its value (0 where it was not measured) and whether it was."""
    return [one for name in NAMES for one in (given.get(name) or 0.0, float(given.get(name) is not None))]
