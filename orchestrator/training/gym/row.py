"""task_of_row: a row of the grpo export as an IssueTask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....tools.errors import UsageError
from .task import IssueTask

_FIELDS = {
    "repository": "repository",
    "base_commit": "base",
    "problem_statement": "issue",
    "instance_id": "instance_id",
    "test_patch": "test_patch",
    "test_cmd": "test_cmd",
    "setup": "setup",
    "python": "python",
    "docker_image": "image",
}
"""Column → field. An empty column says nothing."""


def task_of_row(
    row: Mapping[str, Any], default: IssueTask | None = None, repositories: Path | None = None
) -> IssueTask:
    """The task that a row names, on top of `default`. A repository is looked for in the folder `repositories`
    first. Raises: UsageError when neither names a repository and an issue."""
    values: dict[str, Any] = {field: row[name] for name, field in _FIELDS.items() if row.get(name)}
    if "repository" in values:
        values["repository"] = located(values["repository"], repositories)
    if row.get("fail_to_pass"):
        values["fail_to_pass"] = tuple(row["fail_to_pass"])
    if row.get("test_files"):
        files = row["test_files"]
        files = json.loads(files) if isinstance(files, str) else files
        values["test_files"] = tuple(sorted(files.items()))
    if values.get("image"):
        values["sandbox"] = "docker"
    if default is not None:
        return replace(default, **values)
    if not {"repository", "issue"} <= set(values):
        raise UsageError(
            "the environment has no task: give one, or rows with repository and problem_statement"
        )
    return IssueTask(**values)


def located(repository: str, repositories: Path | None) -> str:
    """The checkout of a repository by name (`flask`), owner and name, or URL; itself where there is none."""
    if repositories is None:
        return repository
    name = repository.removesuffix(".git").rstrip("/")
    for part in (name, name.split("/")[-1], "__".join(name.split("/")[-2:])):
        if part and not Path(part).is_absolute() and (repositories / part).is_dir():
            return str(repositories / part)
    return repository
