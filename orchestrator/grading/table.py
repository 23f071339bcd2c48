"""A table by repository: what is built and what resolves here."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from ..benchmarks.instance import Instance
from .grader import Grade

_HEAD = "| repository | instances | built | resolved | build, s | tests, s | not resolved |\n|---|---|---|---|---|---|---|\n"


def by_repository(instances: Sequence[Instance], runs: Sequence[Mapping[str, Grade]]) -> str:
    """Markdown. Seconds are medians; those of an environment from the cache are what its build took. Each
    instance that did not resolve is named with its reason. An instance on which the infrastructure failed is
    not built."""
    rows: list[str] = []
    for repository in sorted({instance.repo for instance in instances}):
        ids = {instance.id for instance in instances if instance.repo == repository}
        grades = [grade for run in runs for name, grade in run.items() if name in ids]
        built = [grade for grade in grades if grade.status != "infrastructure"]
        left = "; ".join(
            f"{grade.instance_id}: {_cell(grade.reason or grade.status)}"
            for grade in grades
            if not grade.resolved
        )
        resolved = sum(grade.resolved for grade in grades)
        builds = [grade.seconds["build"] for grade in built if "build" in grade.seconds]
        tests = [grade.seconds["tests"] for grade in built if "tests" in grade.seconds]
        rows.append(
            f"| {repository} | {len(grades)} | {len(built)} | {resolved} | {_median(builds)} | {_median(tests)} | {left} |"
        )
    return _HEAD + "".join(f"{row}\n" for row in rows)


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f}" if values else "-"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:160]
