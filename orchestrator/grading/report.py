"""The run report: `<model>.<run_id>.json`, schema version 2, as the harness writes it.

`error_ids` are predictions on which no verdict was reached: the patch did not apply, the tests ran out of
time, or the infrastructure failed. Only the last are also in `infra_failure_ids`; those say nothing
about the model and are graded again by the next call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ...tools.files import write_atomically
from .grader import Grade
from .predictions import Prediction


@dataclass(frozen=True, slots=True)
class RunReport:
    """Grades of one set of predictions over one dataset."""

    run_id: str
    model: str
    dataset_ids: tuple[str, ...]
    predictions: Mapping[str, Prediction]
    grades: Mapping[str, Grade]
    flaky: frozenset[str] = frozenset()
    """Instances whose verdict changed between repeats of the same prediction."""

    def ids(self, *statuses: str) -> list[str]:
        return sorted(name for name, grade in self.grades.items() if grade.status in statuses)

    @property
    def judged(self) -> int:
        """Predictions with a verdict about the model: all but those on which the infrastructure failed."""
        return len(self.grades) - len(self.ids("infrastructure"))

    @property
    def resolved_rate(self) -> float | None:
        """Resolved among the instances of the dataset without those on which the infrastructure failed;
        None when nothing was judged."""
        total = len(self.dataset_ids) - len(self.ids("infrastructure"))
        return len(self.ids("resolved")) / total if self.judged and total else None

    @property
    def resolved(self) -> dict[str, bool]:
        """Verdict by instance; without those on which the infrastructure failed."""
        return {
            name: grade.resolved for name, grade in self.grades.items() if grade.status != "infrastructure"
        }

    def to_json(self) -> dict[str, Any]:
        submitted = sorted(set(self.predictions) & set(self.dataset_ids))
        incomplete = sorted(set(self.dataset_ids) - set(self.predictions))
        resolved, unresolved, empty = self.ids("resolved"), self.ids("unresolved"), self.ids("empty")
        errors, infra = self.ids("patch_failed", "timeout", "infrastructure"), self.ids("infrastructure")
        completed = sorted([*resolved, *unresolved])
        # the built-in `empty` is run: its verdicts stand beside the fact that the patch is empty
        empty = sorted(
            {
                *empty,
                *(
                    name
                    for name in self.grades
                    if self.predictions[name].probe and self.predictions[name].agent == "noop"
                ),
            }
        )
        return {
            "schema_version": 2,
            "run_id": self.run_id,
            "model_name_or_path": self.model,
            "total_instances": len(self.dataset_ids),
            "submitted_instances": len(submitted),
            "completed_instances": len(completed),
            "resolved_instances": len(resolved),
            "unresolved_instances": len(unresolved),
            "empty_patch_instances": len(empty),
            "error_instances": len(errors),
            "infra_failure_instances": len(infra),
            "judged_instances": self.judged,
            "resolved_rate": self.resolved_rate,
            "submitted_ids": submitted,
            "completed_ids": completed,
            "incomplete_ids": incomplete,
            "resolved_ids": resolved,
            "unresolved_ids": unresolved,
            "empty_patch_ids": empty,
            "error_ids": errors,
            "infra_failure_ids": infra,
            "flaky_ids": sorted(self.flaky),
            "taken_over_ids": sorted(name for name, grade in self.grades.items() if grade.taken_over),
            "failure_reasons": {name: self.grades[name].reason for name in errors},
            "seconds": {name: dict(grade.seconds) for name, grade in sorted(self.grades.items())},
            "tampering": {name: list(g.tampering) for name, g in sorted(self.grades.items()) if g.tampering},
            "notes": {name: list(grade.notes) for name, grade in sorted(self.grades.items()) if grade.notes},
        }

    def write(self, directory: Path) -> Path:
        """Write the report atomically; returns its path."""
        directory.mkdir(parents=True, exist_ok=True)
        path = report_path(directory, self.model, self.run_id)
        write_atomically(path, json.dumps(self.to_json(), indent=1) + "\n")
        return path


def report_path(directory: Path, model: str, run_id: str) -> Path:
    return directory / f"{_safe(model)}.{_safe(run_id)}.json"


def remove_reports(directory: Path, run_id: str) -> None:
    """Take away what an earlier evaluation of `run_id` reported: while a new one runs, or when it is stopped,
    nothing old must look current. Verdicts stay."""
    for path in directory.glob(f"*.{_safe(run_id)}.json"):
        path.unlink(missing_ok=True)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+@-]", "_", name.replace("/", "__")) or "unknown"


def read_verdicts(source: str) -> dict[str, bool]:
    """{instance id: resolved} of a report file, or of the newest report in a directory.
    Raises: UsageError."""
    path = Path(source).expanduser()
    candidates: Iterable[Path] = [path]
    if path.is_dir():
        found = [*path.glob("*.json"), *path.glob("evaluation/*.json")]
        candidates = sorted(found, key=lambda item: item.stat().st_mtime, reverse=True)
    for candidate in candidates:
        try:
            data = json.loads(candidate.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(data, dict) and isinstance(data.get("resolved_ids"), list):
            return verdicts_of(data)
    raise UsageError(f"{source} holds no evaluation report: run `swe-agent eval` on it first")


def verdicts_of(report: Mapping[str, Any]) -> dict[str, bool]:
    """Verdicts of a report in the harness's shape; infrastructure failures are left out."""
    skipped = set(report.get("infra_failure_ids", ()))
    names: Sequence[str] = [
        name
        for key in ("resolved_ids", "unresolved_ids", "empty_patch_ids", "error_ids")
        for name in report.get(key, ())
    ]
    resolved = set(report["resolved_ids"])
    return {name: name in resolved for name in names if name not in skipped or name in resolved}
