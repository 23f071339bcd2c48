"""task_of: what was to be solved, from the first event of a run."""

from __future__ import annotations

from collections.abc import Mapping

from .draft import TaskDraft
from .event import Line


def task_of(start: Line) -> TaskDraft:
    issue = start.get("issue")
    issue = issue if isinstance(issue, Mapping) else {"body": str(issue or "")}
    benchmark, split = start.get("benchmark") or issue.get("benchmark"), start.get("split")
    if benchmark and not split and "/" in benchmark:
        benchmark, split = benchmark.rsplit("/", 1)
    title, body = str(issue.get("title") or ""), str(issue.get("body") or "")
    config = start.get("config") or {}
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
        "test_cmd": config.get("test_cmd") or None,
        "setup": config.get("setup") or None,
        "python": config.get("python") or None,
        "image": config.get("image") or None,
    }
