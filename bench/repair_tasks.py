"""Tasks of the repair benchmarks: a small repository each, with its tests and the reference solution."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NODE_PROGRAMS = {
    "breadth_first_search",
    "depth_first_search",
    "detect_cycle",
    "minimum_spanning_tree",
    "reverse_linked_list",
    "shortest_path_length",
    "shortest_path_lengths",
    "shortest_paths",
    "topological_ordering",
}


@dataclass(frozen=True)
class Task:
    """One bug. `files` is the repository; `failing` names the tests to turn green."""

    name: str
    group: str
    files: Mapping[str, str]
    source: str
    """Path of the file that holds the bug."""
    failing: tuple[str, ...]
    entry_point: str
    reference: str
    """Source text of the right program."""
    issue: str = ""
    inputs: tuple[tuple[object, ...], ...] = field(default=(), repr=False)
    """Known argument lists, for the differential check; empty: recorded from `check`."""
    check: str = ""
    """Source of a function `check(candidate)` that calls the program."""
    graph: bool = False


def humanevalfix(path: Path) -> Iterator[Task]:
    """HumanEvalFix (Muennighoff et al. 2023, OctoPack): one task a line."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        row = json.loads(line)
        entry = row["entry_point"]
        tests = re.sub(rf"^check\({re.escape(entry)}\)\s*$", "", row["test"], flags=re.MULTILINE).strip()
        head = row["prompt"] if row["prompt"].rstrip().endswith(('"""', "'''")) else row["declaration"]
        files = {
            "solution.py": head + row["buggy_solution"],
            "test_solution.py": f"from solution import *\nfrom solution import {entry}\n\n\n{tests}\n\n\n"
            f"def test_{entry}():\n    check({entry})\n",
        }
        yield Task(
            row["task_id"],
            row.get("bug_type", ""),
            files,
            "solution.py",
            (f"test_solution.py::test_{entry}",),
            entry,
            row["prompt"] + row["canonical_solution"],
            check=tests,
        )


def quixbugs(checkout: Path) -> Iterator[Task]:
    """QuixBugs (Lin et al. 2017): a repository for each program, laid out as the checkout is."""
    shared = {}
    for name in ("conftest.py", "python_testcases/load_testdata.py", "python_testcases/node.py"):
        shared[name] = (checkout / name).read_text(encoding="utf-8")
    for test in sorted((checkout / "python_testcases").glob("test_*.py")):
        name = test.stem.removeprefix("test_")
        source = f"python_programs/{name}.py"
        if not (checkout / source).exists():
            continue
        files = dict(shared)
        files[source] = (checkout / source).read_text(encoding="utf-8")
        files[f"python_testcases/{test.name}"] = test.read_text(encoding="utf-8")
        cases = checkout / "json_testcases" / f"{name}.json"
        inputs: list[tuple[object, ...]] = []
        if cases.exists():
            files[f"json_testcases/{name}.json"] = cases.read_text(encoding="utf-8")
            for line in cases.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    arguments = json.loads(line)[0]
                    inputs.append(tuple(arguments) if isinstance(arguments, list) else (arguments,))
        reference = (checkout / "correct_python_programs" / f"{name}.py").read_text(encoding="utf-8")
        yield Task(
            name,
            "graph" if name in _NODE_PROGRAMS else "data",
            files,
            source,
            (f"python_testcases/{test.name}",),
            name,
            reference,
            inputs=tuple(inputs),
            graph=name in _NODE_PROGRAMS,
        )
