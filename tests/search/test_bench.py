"""The benchmarks run as they are called, on small inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=280
    )


def diff(line: str) -> str:
    return f"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-old\n+{line}\n"


def test_selection_is_scored_against_the_other_policies(tmp_path: Path) -> None:
    rows = []
    for number in range(6):
        tests = [{"t": True, "u": False}, {"t": True, "u": True}, {"t": True, "u": True}]
        for i, passed in enumerate(tests):
            patch = (
                diff(f"{number}.{i}") if i != 1 else diff(f"{number}.{i}\n+more").replace("+1 @@", "+1,2 @@")
            )
            rows.append(
                {
                    "instance": f"i{number}",
                    "patch": patch,
                    "resolved": i == 2,
                    "reproduction": passed,
                    "broken": ["x"] if i == 1 else [],
                }
            )
    path = tmp_path / "candidates.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("bench/selection.py", path, "--csv", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    rates = {line[:14].strip(): line[14:24].strip() for line in done.stdout.splitlines()[3:]}
    assert rates == {
        "random": "33.3%", "first": "0.0%", "majority": "0.0%", "smallest diff": "0.0%", "ours": "100.0%", "oracle": "100.0%",
    }  # fmt: skip
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 7


def test_patches_alone_are_chosen_by_votes_and_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    lines = [("a", "x", False), ("a", "y", True), ("a", "y", True), ("b", "", False)]
    rows = [{"instance": i, "patch": diff(p) if p else "", "resolved": r} for i, p, r in lines]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run("bench/selection.py", path)
    assert done.returncode == 0, done.stderr
    assert "ours               50.0%" in done.stdout
    path.write_text('{"instance": "a"}\n')
    bad = run("bench/selection.py", path)
    assert bad.returncode != 0
    assert "line 1" in bad.stderr
    assert "Traceback" not in bad.stderr


@pytest.mark.slow
def test_the_landscapes_print_a_table_and_draw_the_plot(tmp_path: Path) -> None:
    done = run(
        "bench/search.py", "--tasks", 4, "--landscape", "easy", "--landscape", "dense", "--out", tmp_path
    )
    assert done.returncode == 1, "two landscapes cannot meet the goal"
    assert "tree-best" in done.stdout
    assert len((tmp_path / "search.csv").read_text().splitlines()) == 9
    assert ElementTree.parse(tmp_path / "search.svg").getroot().tag.endswith("svg")
    run(
        "bench/search.py",
        "--tasks",
        4,
        "--landscape",
        "easy",
        "--landscape",
        "dense",
        "--out",
        tmp_path / "b",
    )
    assert (tmp_path / "search.csv").read_text() == (tmp_path / "b" / "search.csv").read_text()
