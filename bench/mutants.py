"""Candidates of known outcome, seeded into real repositories: for `bench/verdict.py --candidates FILE --run`.

    python bench/mutants.py ROWS.jsonl --repo-mirror DIR --out FILE [--count 25] [--harmless 25] [--seed 0]

Per row a truth set of test files is drawn by chance (all of them where the suite is small, else files of about
`--truth` seconds), never by the product's ranking; it is run on the base twice, and once traced. Lines of functions
that it executes are mutated by the operators of `seeded_bugs`; a mutant counts when a test of the truth set, hence of
the whole suite, that passed twice on the base fails on it twice. Harmless edits stand in the same files: a comment, a
longer docstring of an undecorated function, a renamed local variable, two exchanged imports of the standard library.
FILE holds one candidate a line (instance_id, kind, patch, broken, truth) and is appended to: a stopped run goes on.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prepared import opened, rows_of
from seeded_bugs import function_lines, mutations

from swe_agent.orchestrator.solving.purchase import Durations, buy, chunks
from swe_agent.orchestrator.solving.test_names import file_of
from swe_agent.tools.testing.coverage_map import CoverageMap
from swe_agent.tools.testing.impact.ranking import Impact
from swe_agent.tools.testing.impact.source_tree import SourceTree
from swe_agent.tools.testing.report import Baseline
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.testing.test_files import is_test_file
from swe_agent.tools.workspace import Workspace

_MOST_TESTS = 40
"""Tests run to see whether a mutant breaks something."""
_RUN_S = 120.0


@dataclass(frozen=True)
class Truth:
    """What a random part of the suite says of the base commit."""

    files: tuple[str, ...]
    baseline: Baseline
    coverage: CoverageMap

    def covering(self, path: str, line: int) -> list[str]:
        steady = self.baseline.passing - self.baseline.flaky
        return [test for test in self.coverage.covering(path, [line]) if test in steady]


def truth_of(runner: TestRunner, workspace: Workspace, impact: Impact, seconds: float, seed: int) -> Truth:
    """Files by chance, about `seconds` long; all of a suite that is expected to be shorter."""
    durations = Durations({path: facts.tests for path, facts in impact.facts.items()})
    files = [path for path in impact.tests if path.endswith(".py")]
    random.Random(seed).shuffle(files)
    chosen: list[str] = []
    for path in files:
        if durations.of([*chosen, path]) <= seconds:
            chosen.append(path)
    bought = [
        buy(runner, workspace, chunks(chosen, durations), wall_s=5 * _RUN_S, cold=True) for _ in range(2)
    ]
    ended = sorted(set(bought[0].files) & set(bought[1].files))
    baseline = Baseline.of([some.report() for some in bought])
    lines: dict[str, Mapping[str, frozenset[int]]] = {}
    for file in ended:
        lines |= runner.map_coverage(workspace, [file], timeout=_RUN_S).lines
    return Truth(tuple(ended), baseline, CoverageMap(lines))


def broken_by(runner: TestRunner, fork: Workspace, tests: Sequence[str]) -> list[str]:
    """Those of `tests` that fail twice on the fork."""
    asked = list(tests[:_MOST_TESTS])
    failing = set(asked)
    for _ in range(2):
        report = runner.run(fork, asked, timeout=_RUN_S, cold=True)
        failing &= set(report.failing)
        if not failing:
            break
    return sorted(failing)


def diff_of(path: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return f"diff --git a/{path} b/{path}\n" + "".join(lines)


def harmless(text: str, rng: random.Random) -> tuple[str, str] | None:
    """(kind, new text) of an edit that changes nothing that runs."""
    edits = [
        ("comment", _comment),
        ("docstring", _docstring),
        ("renamed local", _renamed),
        ("imports", _imports),
    ]
    rng.shuffle(edits)
    for kind, edit in edits:
        made = edit(text, rng)
        if made is not None and made != text:
            return kind, made
    return None


def _functions(text: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]


def _comment(text: str, rng: random.Random) -> str | None:
    bodies = [node.body[-1] for node in _functions(text)]
    if not bodies:
        return None
    place = rng.choice(bodies)
    lines = text.splitlines(keepends=True)
    if not lines[place.lineno - 1][: place.col_offset].isspace():
        return None
    lines.insert(place.lineno - 1, f"{' ' * place.col_offset}# As the callers expect.\n")
    return "".join(lines)


def _docstring(text: str, rng: random.Random) -> str | None:
    found = [
        node.body[0]
        for node in _functions(text)
        if not node.decorator_list and ast.get_docstring(node) and node.name.startswith("_")
    ]
    lines = text.splitlines(keepends=True)
    closing = [
        (node.end_lineno or 0) - 1
        for node in found
        if lines[(node.end_lineno or 0) - 1].strip() == '"""' and ">>>" not in "".join(
            lines[node.lineno - 1 : node.end_lineno]
        )
    ]  # fmt: skip
    if not closing:
        return None
    at = rng.choice(closing)
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    lines.insert(at, f"\n{indent}More is said elsewhere.\n")
    return "".join(lines)


def _renamed(text: str, rng: random.Random) -> str | None:
    """A local variable that one plain function alone uses, and that no inner scope sees."""
    plain = [node for node in _functions(text) if not _has_scopes(node)]
    rng.shuffle(plain)
    for node in plain:
        arguments = {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        handled = {n.name for n in ast.walk(node) if isinstance(n, ast.ExceptHandler)}
        names = sorted(name for name in stored - arguments - handled if len(name) > 2)
        if names and "locals()" not in text and "f'" not in text and 'f"' not in text:
            return _replaced(text, node, rng.choice(names))
    return None


def _has_scopes(node: ast.FunctionDef) -> bool:
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp,
             ast.DictComp, ast.GeneratorExp, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom)  # fmt: skip
    return any(isinstance(child, inner) for child in ast.walk(node) if child is not node)


def _replaced(text: str, function: ast.FunctionDef, name: str) -> str:
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    uses = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name]
    for use in sorted(uses, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        line = lines[use.lineno - 1]
        lines[use.lineno - 1] = line[: use.col_offset] + f"{name}_here".encode() + line[use.end_col_offset :]
    return b"".join(lines).decode()


def _imports(text: str, rng: random.Random) -> str | None:
    lines = text.splitlines(keepends=True)

    def plain(line: str) -> bool:
        words = line.split()
        return line.startswith("import ") and len(words) == 2 and words[1] in sys.stdlib_module_names

    pairs = [n for n in range(len(lines) - 1) if plain(lines[n]) and plain(lines[n + 1])]
    if not pairs:
        return None
    at = rng.choice(pairs)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return "".join(lines)


def candidates_of(
    runner: TestRunner,
    workspace: Workspace,
    truth: Truth,
    wanted: int,
    edits: int,
    rng: random.Random,
) -> Iterator[dict[str, Any]]:
    """Mutants that break, and edits that cannot."""
    places: list[tuple[str, int]] = []
    for path in sorted(truth.coverage.by_file):
        if path.endswith(".py") and not is_test_file(path):
            try:
                inside = function_lines(workspace.read_text(path))
            except (OSError, SyntaxError):
                continue
            covered = {line for seen in truth.coverage.by_file[path].values() for line in seen}
            places += [(path, line) for line in sorted(covered & inside)]
    rng.shuffle(places)
    yield from _harmless_edits(workspace, [path for path, _ in places], edits, rng)
    made = 0
    for path, line in places:
        if made >= wanted:
            return
        text = workspace.read_text(path)
        options = sorted(set(mutations(text, {line})))
        if not options:
            continue
        after = rng.choice(options)[1]
        tests = truth.covering(path, line)
        with workspace.fork() as fork:
            fork.write_text(path, after)
            broken = broken_by(runner, fork, tests) if tests else []
        if broken:
            made += 1
            yield {"kind": "mutant", "patch": diff_of(path, text, after), "broken": broken}


def _harmless_edits(
    workspace: Workspace, paths: Sequence[str], count: int, rng: random.Random
) -> Iterator[dict[str, Any]]:
    made = 0
    for path in paths:
        if made >= count:
            return
        text = workspace.read_text(path)
        edit = harmless(text, rng)
        if edit is not None:
            made += 1
            yield {"kind": edit[0], "patch": diff_of(path, text, edit[1]), "broken": []}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--repo-mirror", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=25)
    parser.add_argument("--harmless", type=int, default=25)
    parser.add_argument("--truth", type=float, default=90.0, help="seconds of tests that are drawn by chance")
    parser.add_argument("--only", default="", help="instance ids that hold this text")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    there = asked.out.read_text("utf-8").splitlines() if asked.out.exists() else []
    known = [json.loads(line) for line in there]
    for row in rows_of(asked.rows):
        name = row["instance_id"]
        if asked.only not in name:
            continue
        mine = [item for item in known if item["instance_id"] == name]
        mutants = asked.count - sum(item["kind"] == "mutant" for item in mine)
        edits = asked.harmless - sum(item["kind"] != "mutant" for item in mine)
        if mutants <= 0 and edits <= 0:
            continue
        rng = random.Random(f"{asked.seed}/{name}/{len(mine)}")
        with (
            tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder,
            opened(row, asked.repo_mirror, Path(folder) / "run") as (workspace, project),
        ):
            impact = Impact(SourceTree(Path(folder) / "run/repository", workspace.base_commit))
            with TestRunner(project, warm=False) as runner:
                runner.limit_s = 30.0
                truth = truth_of(runner, workspace, impact, asked.truth, asked.seed)
                print(
                    f"{name}: truth set of {len(truth.files)} of {len(impact.tests)} test files, "
                    f"{len(truth.baseline.passing)} tests that pass, {truth.baseline.duration_s} s; "
                    f"{len(truth.coverage.by_file)} files executed",
                    flush=True,
                )
                with asked.out.open("a", encoding="utf-8") as file:
                    for made in candidates_of(runner, workspace, truth, mutants, edits, rng):
                        files = sorted({file_of(test) for test in made["broken"]})
                        line = {"instance_id": name, **made, "files": files, "truth": list(truth.files)}
                        file.write(json.dumps(line) + "\n")
                        file.flush()


if __name__ == "__main__":
    main()
