"""Is `swe-agent verify` right, and how long does it take? The rows' own solutions, and changes that break.

    python bench/verify.py ROWS.jsonl --repo-mirror DIR --out FILE [--candidates FILE] [--mutants 5] [--only TEXT]

Every row's own solution (without its tests) has to pass; mutants of `mutants.py` have to be seen, each of which breaks
a test of the whole suite. Each patch gets a suite that knows nothing of the others. OUT holds a line per patch and is
appended to: a stopped run goes on. Environments are the product's own, built before the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prepared import opened, rows_of

from swe_agent.orchestrator.solving.check import Verify
from swe_agent.orchestrator.solving.suite import Suite
from swe_agent.orchestrator.solving.verification import verify_with
from swe_agent.tools.patch import Patch
from swe_agent.tools.project.spec import Project
from swe_agent.tools.testing.impact.ranking import Impact
from swe_agent.tools.testing.impact.source_tree import SourceTree
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace


def judged(workspace: Workspace, project: Project, repository: Path, text: str) -> dict[str, Any]:
    started = time.perf_counter()
    impact = Impact(SourceTree(repository, workspace.base_commit))
    with TestRunner(project) as runner:
        suite = Suite(runner, workspace, impact, verify=Verify.of("auto"))
        verdict = asyncio.run(verify_with(suite, Patch(text), command=project.test_command.command))
    return {
        "exit_code": verdict.exit_code,
        "broken": list(verdict.broken[:5]),
        "status": verdict.status,
        "seconds": round(time.perf_counter() - started, 1),
    }


def patches_of(
    row: Mapping[str, Any], candidates: list[dict[str, Any]], most: int
) -> dict[str, tuple[int, str]]:
    """Name of a patch -> (expected exit code, text)."""
    mutants = [c for c in candidates if c["instance_id"] == row["instance_id"] and c["kind"] == "mutant"]
    wanted = {f"{row['instance_id']} mutant {n}": (4, c["patch"]) for n, c in enumerate(mutants[:most])}
    gold = {f"{row['instance_id']} gold": (0, row["patch"])} if row["patch"] else {}
    return {**gold, **wanted}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", type=Path)
    parser.add_argument("--repo-mirror", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--candidates", type=Path)
    parser.add_argument("--mutants", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    candidates = rows_of(options.candidates) if options.candidates else []
    done = {line["name"] for line in rows_of(options.out)} if options.out.exists() else set()
    for row in (row for row in rows_of(options.rows) if options.only in row["instance_id"]):
        todo = {k: v for k, v in patches_of(row, candidates, options.mutants).items() if k not in done}
        if not todo:
            continue
        with (
            tempfile.TemporaryDirectory(prefix="verify-", ignore_cleanup_errors=True) as folder,
            opened(dict(row), options.repo_mirror, Path(folder) / "run") as (workspace, project),
            options.out.open("a", encoding="utf-8") as file,
        ):
            for name, (expected, text) in todo.items():
                place = Path(folder) / "run" / "repository"
                found = judged(workspace, project, place, text)
                line = {"name": name, "expected": expected, **found}
                file.write(json.dumps(line) + "\n")
                file.flush()
                print(
                    f"{name}: {found['exit_code']} (wanted {expected}) in {found['seconds']} s: {found['status']}"
                )
    lines = rows_of(options.out)
    right = sum(line["exit_code"] == line["expected"] for line in lines)
    print(
        f"right {right} of {len(lines)}, median {statistics.median(line['seconds'] for line in lines):.1f} s"
    )


if __name__ == "__main__":
    main()
