"""Verdicts: which foreign trajectories were resolved, by reports of the SWE-bench harness and by Harbor's results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....tools.errors import RecordError, UsageError
from ....tools.files import reason_of

BESIDE = "result.json"
"""Harbor's, in the folder of a trial, whose agent writes its trajectory there or one folder below."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A report is about one run. With a folder it speaks for the trajectories below that; without one for those that
    no other speaks for, if they are one of each instance: of several it does not say which it means."""

    of_folder: Mapping[Path, Mapping[str, bool]] = field(default_factory=dict[Path, Mapping[str, bool]])
    of_others: Mapping[str, bool] = field(default_factory=dict[str, bool])

    @classmethod
    def read(cls, reports: Sequence[str]) -> Verdicts:
        """Of `[FOLDER=]REPORT`. Raises: UsageError for a folder that is none, RecordError for no report."""
        folders: dict[Path, dict[str, bool]] = {}
        others: dict[str, bool] = {}
        for text in reports:
            folder, separator, report = text.partition("=")
            if not separator or Path(text).exists():
                others |= read_report(Path(text))
                continue
            if not Path(folder).is_dir():
                raise UsageError(f"--report {text}: {folder} is no folder: write FOLDER=REPORT")
            folders.setdefault(Path(folder).resolve(), {}).update(read_report(Path(report)))
        return cls(folders, others)

    def of(self, file: Path, instance: str) -> bool | None:
        """By the report of the nearest folder above the file that has one."""
        for folder in file.resolve().parents:
            if folder in self.of_folder:
                return self.of_folder[folder].get(instance)
        return None


def read_report(report: Path) -> dict[str, bool]:
    """Instance → resolved: of a run's report (`resolved_ids`, `unresolved_ids`; our `results.json` too), of one
    instance's (`{ID: {"resolved": ...}}`), or of a folder of those, `ID/report.json` each. Raises: RecordError."""
    if report.is_dir():
        files = sorted(report.glob("*/report.json"))
        if not files:
            raise RecordError(f"{report} holds no */report.json")
        return {name: good for file in files for name, good in _of_instance(file).items()}
    data = _object(report)
    if "resolved_ids" not in data:
        return _of_instance(report)
    try:
        good, bad = list(map(str, data["resolved_ids"])), list(map(str, data.get("unresolved_ids") or ()))
    except TypeError as error:
        raise RecordError(f"{report} is malformed: {error}") from error
    return {**dict.fromkeys(bad, False), **dict.fromkeys(good, True)}


def _of_instance(report: Path) -> dict[str, bool]:
    data = _object(report)
    if isinstance(data.get("resolved"), bool):  # published without its outer key
        return {report.parent.name: data["resolved"]}
    found = {
        name: said["resolved"]
        for name, said in data.items()
        if isinstance(said, dict) and isinstance(said.get("resolved"), bool)
    }
    if not found:
        raise RecordError(f"{report} is no report: neither resolved_ids nor an instance's resolved")
    return found


def _object(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RecordError(
            f"{file} is no report: {reason_of(error) if isinstance(error, OSError) else error}"
        ) from error
    if not isinstance(data, dict):
        raise RecordError(f"{file} is no report: it is not an object")
    return data


@dataclass(frozen=True, slots=True)
class HarborVerdict:
    """What Harbor says beside a trajectory. `resolved`: the reward is at least 1; None where no verifier spoke."""

    task: str
    resolved: bool | None


def trial_of(trajectory: Path) -> HarborVerdict | None:
    """Of the trial whose folder the trajectory is in, or one below."""
    for folder in (trajectory.parent, trajectory.parent.parent):
        try:
            data = _object(folder / BESIDE)
        except RecordError:
            continue
        task = data.get("task_name")
        if isinstance(task, str) and task and "trial_name" in data:
            verified = data.get("verifier_result")
            rewards = verified.get("rewards") if isinstance(verified, dict) else None
            reward = rewards.get("reward") if isinstance(rewards, dict) else None
            return HarborVerdict(task, reward >= 1 if isinstance(reward, int | float) else None)
    return None
