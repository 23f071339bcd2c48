"""How well the tests near a patch are chosen: the rank of the files that a benchmark runs, and the time it takes.

    python bench/verdict.py ROWS.jsonl --repo-mirror DIR [--cache DIR] [--candidates FILE]

ROWS are in SWE-bench's format (repo, base_commit, patch, test_patch, problem_statement); DIR holds one git directory
per repository, `owner+name`, `owner+name/repo` or `owner/name`. Nothing is checked out and nothing is run. The row's
test patch is read to score, never to rank. A row is covered when the files of its test patch that exist on the base
commit are all among those that the auto budget is expected to buy (two at a time, a test 0.05 s where nobody knows).
With `--candidates` (JSONL: instance_id, patch, broken: ids of PASS_TO_PASS tests that it breaks) it says how many have
a broken test's file within the budget.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from swe_agent.orchestrator.solving.check import Verify
from swe_agent.orchestrator.solving.purchase import Durations, affordable
from swe_agent.orchestrator.solving.test_names import file_of
from swe_agent.tools.patch import Patch
from swe_agent.tools.testing.impact.change import Change
from swe_agent.tools.testing.impact.ranking import Impact
from swe_agent.tools.testing.impact.source_tree import SourceTree


def mirror_of(folder: Path, repo: str) -> Path:
    names = (f"{repo.replace('/', '+')}/repo", repo.replace("/", "+"), repo, repo.replace("/", "__"))
    found = next((folder / name for name in names if (folder / name).is_dir()), None)
    if found is None:
        sys.exit(f"no git directory of {repo} under {folder}")
    return found


def bought(impact: Impact, ranked: list[str], seconds: float) -> set[str]:
    """The files that a check without known durations would plan."""
    counts = {path: facts.tests for path, facts in impact.facts.items()}
    return set(affordable(ranked, Durations(counts), seconds, Verify().far_s))


def measure(row: dict[str, Any], impact: Impact, candidates: list[dict[str, Any]]) -> dict[str, Any]:
    begun = time.monotonic()
    change = Change.of(Patch(row["patch"]), row["problem_statement"], impact.tree.text)
    ranked = [item.path for item in impact.rank(change)]
    took = time.monotonic() - begun
    wanted = [path for path in Patch(row["test_patch"]).files if path in impact.tests]
    inside = bought(impact, ranked, Verify().final_s)
    seen = 0
    for item in candidates:
        order = impact.rank(Change.of(Patch(item["patch"]), row["problem_statement"], impact.tree.text))
        chosen = bought(impact, [entry.path for entry in order], Verify().candidate_s)
        seen += any(file_of(test) in chosen for test in item["broken"])
    return {
        "instance_id": row["instance_id"],
        "rank": max((ranked.index(path) + 1 for path in wanted), default=None),
        "files": len(wanted),
        "covered": set(wanted) <= inside if wanted else None,
        "of": len(ranked),
        "seconds": round(took, 2),
        "candidates_seen": seen,
        "candidates": len(candidates),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--repo-mirror", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--candidates", type=Path)
    asked = parser.parse_args()
    rows = [json.loads(line) for line in asked.rows.read_text("utf-8").splitlines() if line.strip()]
    known: dict[str, list[dict[str, Any]]] = {}
    for line in asked.candidates.read_text("utf-8").splitlines() if asked.candidates else ():
        item = json.loads(line)
        known.setdefault(item["instance_id"], []).append(item)
    found: list[dict[str, Any]] = []
    for row in rows:
        tree = SourceTree(mirror_of(asked.repo_mirror, row["repo"]), row["base_commit"])
        found.append(measure(row, Impact(tree, asked.cache), known.get(row["instance_id"], [])))
        print(json.dumps(found[-1]), flush=True)
    scored = [item for item in found if item["rank"] is not None]
    first = sum(item["rank"] <= 10 for item in scored)
    covered = sum(bool(item["covered"]) for item in scored)
    print(f"{len(scored)} rows: all within the first 10 in {first}, within the auto budget in {covered}")
    tried = sum(item["candidates"] for item in found)
    if tried:
        print(
            f"{tried} candidates that break a test: {sum(item['candidates_seen'] for item in found)} are seen to"
        )


if __name__ == "__main__":
    main()
