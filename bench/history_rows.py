"""Rows in SWE-bench's format from a repository's own history, to try environments that no published row covers.

    python bench/history_rows.py pick --repo-mirror DIR OWNER/NAME=VERSION,VERSION@SINCE..UNTIL+COMMIT ... > draft.jsonl
    swe-agent eval --dataset draft.jsonl --repo-mirror DIR --predictions gold  --output gold
    swe-agent eval --dataset draft.jsonl --repo-mirror DIR --predictions empty --output empty
    python bench/history_rows.py fill draft.jsonl gold empty > rows.jsonl
    swe-agent eval --dataset rows.jsonl --repo-mirror DIR --predictions gold --table

`pick` takes, of each version, a commit drawn with a seed that changes one to three Python sources and adds a test; the
row's patch is the sources, its test patch the tests. A version is what the package or its nearest tag says; with dates
it is a name for that time (the published rows of astropy 1.3 are of 2018), and `+COMMIT` behind it is the
environment_setup_commit of its rows. `fill` reads both logs: FAIL_TO_PASS are the tests that pass with
the commit and did not before, PASS_TO_PASS those that pass in both, as SWE-bench makes its rows. What fails here with
the commit is counted on stderr: the project passed it once. A row without a test that the commit turns is left out.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swe_agent.orchestrator.benchmarks.rows import instance_of
from swe_agent.orchestrator.grading.grading import read_log
from swe_agent.orchestrator.grading.logs import ERROR, FAILED, PASSED, XFAIL, parser_named
from swe_agent.orchestrator.grading.mirror import file_at, find_mirror
from swe_agent.orchestrator.grading.spec import spec_for
from swe_agent.tools.git import git

_TEST = re.compile(r"(^|/)(tests?|testing)/|(^|/)test_[^/]*\.py$|_test\.py$")
_VERSION = re.compile(r"^(?:__version__|VERSION)\s*=\s*[(\"']+(\d+)(?:\.|, )(\d+)", re.MULTILINE)
_UNRUN = "the test that the commit turns"
_MOST_FILES, _MOST_BYTES = 8, 40_000


def version_at(mirror: Path, name: str, commit: str) -> str:
    """`major.minor` as the package says it, else of the nearest tag."""
    for path in (f"{name.replace('scikit-learn', 'sklearn')}/__init__.py", "setup.py"):
        if found := _VERSION.search(file_at(mirror, commit, path) or ""):
            return f"{found[1]}.{found[2]}"
    tag = git(mirror, "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", commit, check=False)
    found = re.match(r"v(\d+\.\d+)", tag)
    return found[1] if found else ""


def commits(mirror: Path, since: str, until: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(commit, sources, tests) of small commits that change both."""
    window = [f"--since={since}", f"--until={until}", "--no-merges", "--no-renames", "--diff-filter=M"]
    log = git(mirror, "log", *window, "--pretty=@%H", "--name-only")
    for block in log.split("@")[1:]:
        commit, *files = [line for line in block.splitlines() if line]
        tests = [name for name in files if name.endswith(".py") and _TEST.search(name)]
        sources = [name for name in files if name.endswith(".py") and name not in tests]
        if 1 <= len(sources) <= 3 and 1 <= len(tests) <= 2 and len(files) <= _MOST_FILES:
            yield commit, sources, tests


def row_of(
    mirror: Path, repo: str, commit: str, sources: list[str], tests: list[str]
) -> dict[str, Any] | None:
    """The row of a commit; None when it adds no test, or too much."""
    base = git(mirror, "rev-parse", f"{commit}^").strip()
    patch = git(mirror, "diff", base, commit, "--", *sources)
    test_patch = git(mirror, "diff", base, commit, "--", *tests)
    adds = re.search(r"^\+\s*def test", test_patch, re.MULTILINE)
    if not patch.strip() or not adds or len(patch) + len(test_patch) > _MOST_BYTES:
        return None
    return {
        "instance_id": f"{repo.replace('/', '__')}-{commit[:8]}",
        "repo": repo,
        "base_commit": base,
        "patch": patch,
        "test_patch": test_patch,
        "problem_statement": git(mirror, "show", "-s", "--format=%B", commit).strip(),
        "created_at": git(mirror, "show", "-s", "--format=%cI", commit).strip(),
        "version": version_at(mirror, repo.split("/")[1], base),
        "FAIL_TO_PASS": [_UNRUN],
        "PASS_TO_PASS": [],
    }


def pick(mirrors: Path, wanted: list[str], *, seed: int, since: str) -> Iterator[dict[str, Any]]:
    for item in wanted:
        repo, _, names = item.partition("=")
        mirror = find_mirror(repo, mirrors)
        for name in names.split(","):
            name, _, setup = name.partition("+")
            version, _, dates = name.partition("@")
            first, _, last = dates.partition("..")
            found = list(commits(mirror, first or since, last or "now"))
            random.Random(seed).shuffle(found)
            rows = (row_of(mirror, repo, *entry) for entry in found)
            row = next((row for row in rows if row and (dates or row["version"] == version)), None)
            if row is None:
                print(f"{repo}: no commit of {name} was found", file=sys.stderr)
            else:
                more = {"environment_setup_commit": setup} if setup else {}
                yield {**row, **more, "version": version}


def statuses(row: dict[str, Any], run: Path) -> dict[str, str]:
    parser = parser_named(spec_for(instance_of(row)).parser)
    path = run / "instances" / row["instance_id"] / "test_output.txt"
    if parser is None or not path.is_file():
        return {}
    return read_log(path.read_text("utf-8", "replace"), parser)[0] or {}


def filled(row: dict[str, Any], with_fix: dict[str, str], before: dict[str, str]) -> dict[str, Any]:
    good = [name for name, status in with_fix.items() if status in (PASSED, XFAIL)]
    turned = [name for name in good if before.get(name) not in (PASSED, XFAIL)]
    return {**row, "FAIL_TO_PASS": turned, "PASS_TO_PASS": [name for name in good if name not in turned]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    picking = commands.add_parser("pick")
    picking.add_argument("wanted", nargs="+", metavar="OWNER/NAME=VERSIONS")
    picking.add_argument("--repo-mirror", type=Path, required=True)
    picking.add_argument("--seed", type=int, default=0)
    picking.add_argument("--since", default="2016-06-01")
    filling = commands.add_parser("fill")
    filling.add_argument("draft", type=Path)
    filling.add_argument("gold", type=Path)
    filling.add_argument("empty", type=Path)
    asked = parser.parse_args()
    if asked.command == "pick":
        for row in pick(asked.repo_mirror, asked.wanted, seed=asked.seed, since=asked.since):
            print(json.dumps(row), flush=True)
        return
    for line in asked.draft.read_text("utf-8").splitlines():
        row = json.loads(line)
        with_fix = statuses(row, asked.gold)
        done = filled(row, with_fix, statuses(row, asked.empty))
        failing = sum(status in (FAILED, ERROR) for status in with_fix.values())
        print(
            f"{row['instance_id']}: {len(done['FAIL_TO_PASS'])} turned, {len(done['PASS_TO_PASS'])} kept, "
            f"{failing} fail here with the commit",
            file=sys.stderr,
        )
        if done["FAIL_TO_PASS"]:
            print(json.dumps(done))


if __name__ == "__main__":
    main()
