"""task_of: what was to be solved, from the first event of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SET_UP = ("test_cmd", "setup", "python", "image")


def task_of(start: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `schema.Task`."""
    issue = start.get("issue")
    issue = issue if isinstance(issue, Mapping) else {"body": str(issue or "")}
    benchmark, split = start.get("benchmark") or issue.get("benchmark"), start.get("split")
    if benchmark and not split and "/" in benchmark:
        benchmark, split = benchmark.rsplit("/", 1)
    title, body = str(issue.get("title") or ""), str(issue.get("body") or "")
    return {
        "instance_id": str(start.get("instance_id") or issue.get("id") or start["run_id"]),
        "repository": start.get("repository"),
        "base_commit": start.get("base_commit"),
        "problem_statement": f"{title}\n\n{body}".strip() if title else body,
        "issue_url": issue.get("url") or issue.get("source_url"),
        "source": start.get("source") or issue.get("source"),
        "benchmark": benchmark,
        "split": split,
        "licence": start.get("licence"),
        **{key: (start.get("config") or {}).get(key) or None for key in _SET_UP},
    }
