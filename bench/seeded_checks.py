"""Does the automatic check see what a patch breaks, and does it stay silent about what breaks nothing?

    python bench/seeded_checks.py ROWS.jsonl --repo-mirror DIR --candidates FILE --out FILE [--only TEXT]

Candidates are those of `mutants.py` (instance_id, kind, patch, broken). Each is checked as a rollout's candidate is
(`--verify auto`), by one suite per row, which starts with nothing known. OUT holds a line per candidate and is
appended to: a stopped run goes on. The truth is read to score, after the check.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prepared import opened, rows_of

from swe_agent.orchestrator.solving.check import Check, Verify
from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.tools.patch import Patch
from swe_agent.tools.testing.impact.ranking import Impact
from swe_agent.tools.testing.impact.source_tree import SourceTree
from swe_agent.tools.testing.runner import TestRunner


def checked(suite: Suite, text: str) -> Check:
    patch = Patch(text)
    with suite.base.fork() as fork:
        fork.apply(patch)
        return asyncio.run(suite.check(fork, patch, ()))


def line_of(item: Mapping[str, Any], check: Check, seconds: float) -> dict[str, Any]:
    return {
        "instance_id": item["instance_id"],
        "number": item["number"],
        "kind": item["kind"],
        "seen": sorted(check.comparison.broken)[:20],
        "unknown": len(check.unknown),
        "broken": item["broken"][:5],
        "truth_run": bool(set(item["broken"]) & set(check.report.results)) if check.report else False,
        "files_run": len(check.evidence.files_run),
        "whole": check.whole,
        "seconds": round(seconds, 1),
    }


def check_row(row: Mapping[str, Any], mirrors: Path, items: Sequence[Mapping[str, Any]], out: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="checks-", ignore_cleanup_errors=True) as folder,
        opened(dict(row), mirrors, Path(folder) / "run") as (workspace, project),
        TestRunner(project, warm=False) as runner,
        out.open("a", encoding="utf-8") as file,
    ):
        impact = Impact(SourceTree(Path(folder) / "run/repository", workspace.base_commit))
        suite = Suite(runner, workspace, impact, verify=Verify())
        for item in items:
            began = time.monotonic()
            check = checked(suite, item["patch"])
            file.write(json.dumps(line_of(item, check, time.monotonic() - began)) + "\n")
            file.flush()


def summed(lines: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for name in [*sorted({line["instance_id"] for line in lines}), "all"]:
        mine = [line for line in lines if name in ("all", line["instance_id"])]
        mutants = [line for line in mine if line["kind"] == "mutant"]
        edits = [line for line in mine if line["kind"] != "mutant"]
        seen = sum(bool(line["seen"]) for line in mutants)
        alarms = sum(bool(line["seen"]) for line in edits)
        parts.append(
            f"{name}: {seen} of {len(mutants)} regressions seen, {alarms} false alarms of {len(edits)} harmless edits"
        )
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--repo-mirror", type=Path, required=True)
    parser.add_argument("--candidates", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="instance ids that hold this text")
    parser.add_argument("--most", type=int, default=1000, help="of each kind and row, at most")
    asked = parser.parse_args()
    items = [{**item, "number": number} for number, item in enumerate(rows_of(asked.candidates))]
    known = {line["number"] for line in rows_of(asked.out)} if asked.out.exists() else set[int]()
    for row in rows_of(asked.rows):
        name = row["instance_id"]
        if asked.only in name:
            mine = [item for item in items if item["instance_id"] == name]
            mutants = [item for item in mine if item["kind"] == "mutant"][: asked.most]
            edits = [item for item in mine if item["kind"] != "mutant"][: asked.most]
            wanted = [item for item in (*mutants, *edits) if item["number"] not in known]
            if wanted:
                check_row(row, asked.repo_mirror, wanted, asked.out)
    print(summed(rows_of(asked.out)) if asked.out.exists() else "nothing was checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
