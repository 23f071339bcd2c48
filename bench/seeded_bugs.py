"""Bugs seeded into a real project by mutating lines its own tests run, given back to the repair engine.

    python bench/seeded_bugs.py CHECKOUT --bugs 10 --seed 0 [--python PY] [--tests 'tests/test_x.py'] [--out DIR]

A mutation counts as a bug when the selected tests passed before it and at least one fails after it. The
mutation operators are this program's own (comparison, arithmetic, constant, boolean, dropped `not`,
exchanged arguments); the engine does not see them, nor the original line. Prints what was solved, what was
solved exactly as the original line, and what was not.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from swe_agent.agents.offline.propose import may_edit_sources, propose
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.workspace import Workspace

_COMPARE = {"<": ["<=", ">"], "<=": ["<", ">"], ">": [">=", "<"], ">=": [">", "<"], "==": ["!="], "!=": ["=="],
            "in": ["not in"], "not in": ["in"], "is": ["is not"], "is not": ["is"]}  # fmt: skip
_SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in",
          ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not"}  # fmt: skip


def mutations(text: str, lines: set[int]) -> Iterator[tuple[int, str]]:
    """(line, new text of the file): one-line mutants on the given lines."""
    tree = ast.parse(text)
    rows = text.encode().splitlines(keepends=True)
    starts = [0]
    for row in rows:
        starts.append(starts[-1] + len(row))
    data = text.encode()

    def at(node: ast.expr, end: bool = False) -> int:
        return starts[(node.end_lineno if end else node.lineno) - 1] + (
            node.end_col_offset if end else node.col_offset
        )  # type: ignore[operator,index]

    def swap(start: int, stop: int, new: str) -> str:
        return (data[:start] + new.encode() + data[stop:]).decode()

    for node in ast.walk(tree):
        line = getattr(node, "lineno", None)
        if line not in lines or getattr(node, "end_lineno", line) != line:
            continue
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            sign = _SIGNS[type(node.ops[0])]
            start, stop = at(node.left, True), at(node.comparators[0])
            gap = data[start:stop].decode()
            for new in _COMPARE[sign]:
                if sign in gap:
                    yield line, swap(start, stop, gap.replace(sign, new, 1))
        elif isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 1000:
            yield line, swap(at(node), at(node, True), str(node.value + 1))
        elif isinstance(node, ast.Constant) and type(node.value) is bool:
            yield line, swap(at(node), at(node, True), str(not node.value))
        elif isinstance(node, ast.BoolOp):
            start, stop = at(node.values[0], True), at(node.values[1])
            gap = data[start:stop].decode()
            one, two = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            if one in gap:
                yield line, swap(start, stop, gap.replace(one, two, 1))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield line, swap(at(node), at(node.operand), "")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            start, stop = at(node.left, True), at(node.right)
            gap = data[start:stop].decode()
            one, two = ("+", "-") if isinstance(node.op, ast.Add) else ("-", "+")
            if one in gap:
                yield line, swap(start, stop, gap.replace(one, two, 1))
        elif isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
            first, second = (ast.get_source_segment(text, a) or "" for a in node.args)
            yield line, swap(at(node.args[0]), at(node.args[1], True), f"{second}, {first}")


class Seeder:
    """A project's tests on a throw-away copy, outside the engine."""

    def __init__(self, checkout: Path, python: Path, tests: list[str]) -> None:
        self.checkout = checkout
        self.python = python
        self.tests = tests

    def pytest(self, *more: str, timeout: float = 600.0) -> tuple[int, str]:
        command = [
            str(self.python),
            "-m",
            "pytest",
            "-q",
            "-rfE",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            *more,
            *self.tests,
        ]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        env.pop("PYTHONPATH", None)
        paths = [str(self.checkout / "src"), str(self.checkout)]
        env["PYTHONPATH"] = ":".join(path for path in paths if Path(path).is_dir())
        done = subprocess.run(
            command, cwd=self.checkout, env=env, capture_output=True, text=True, timeout=timeout, check=False
        )
        return done.returncode, done.stdout

    def failing(self, timeout: float) -> list[str]:
        try:
            _, out = self.pytest(timeout=timeout)
        except subprocess.TimeoutExpired:
            return []
        found = [
            line.split(" ", 1)[1].split(" - ")[0] for line in out.splitlines() if line.startswith("FAILED ")
        ]
        return [test.strip() for test in found]

    def covered(self) -> dict[str, set[int]]:
        """Lines of source files that the tests run."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "coverage.json"
            data = Path(folder) / "data"
            env = {**os.environ, "COVERAGE_FILE": str(data), "PYTHONDONTWRITEBYTECODE": "1"}
            paths = [str(self.checkout / "src"), str(self.checkout)]
            env["PYTHONPATH"] = ":".join(path for path in paths if Path(path).is_dir())
            run = [str(self.python), "-m", "coverage", "run", f"--source={self.checkout}", "-m", "pytest", "-q",
                   "-p", "no:cacheprovider", *self.tests]  # fmt: skip
            subprocess.run(run, cwd=self.checkout, env=env, capture_output=True, check=False, timeout=1200)
            subprocess.run(
                [str(self.python), "-m", "coverage", "json", "-q", "-o", str(report)],
                cwd=self.checkout, env=env, capture_output=True, check=False, timeout=300,
            )  # fmt: skip
            files = json.loads(report.read_text())["files"]
        return {
            name: set(seen["executed_lines"])
            for name, seen in files.items()
            if may_edit_sources(name) and not name.startswith(("docs", "examples", "setup.py"))
        }


def function_lines(text: str) -> set[int]:
    """Lines inside function bodies: import-time lines are run by every test."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def run(arguments: argparse.Namespace) -> None:
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="seeded-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "repository"
        subprocess.run(["git", "clone", "-q", str(arguments.checkout), str(copy)], check=True)
        seeder = Seeder(copy, arguments.python, arguments.tests)
        started = time.monotonic()
        before = set(seeder.failing(900))
        took = time.monotonic() - started
        covered = seeder.covered()
        places = []
        for name, lines in sorted(covered.items()):
            text = (copy / name).read_text(encoding="utf-8")
            inside = lines & function_lines(text)
            places += [(name, line) for line in sorted(inside)]
        rng.shuffle(places)
        print(f"{len(places)} covered lines in {len(covered)} files; the tests take {took:.1f} s", flush=True)
        rows = []
        for name, line in places:
            if len(rows) >= arguments.bugs:
                break
            text = (copy / name).read_text(encoding="utf-8")
            options = sorted(set(mutations(text, {line})))
            if not options:
                continue
            _, mutant = rng.choice(options)
            (copy / name).write_text(mutant, encoding="utf-8")
            failing = [test for test in seeder.failing(3 * took + 30) if test not in before]
            if not failing or len(failing) > 150:
                (copy / name).write_text(text, encoding="utf-8")
                continue
            rows.append(attempt(copy, name, line, text, failing, arguments))
            (copy / name).write_text(text, encoding="utf-8")
        report(rows, arguments)


def attempt(
    copy: Path, name: str, line: int, text: str, failing: list[str], arguments: argparse.Namespace
) -> dict[str, object]:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", *identity, "commit", "-qam", "seed"], cwd=copy, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=copy, check=True, capture_output=True, text=True
    ).stdout
    prefix = subprocess.run(
        [str(arguments.python), "-c", "import sys; print(sys.prefix); print(sys.base_prefix)"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    outside = dict.fromkeys([*map(Path, prefix), *(Path(p).resolve() for p in prefix)])
    with tempfile.TemporaryDirectory(prefix="scratch-", ignore_cleanup_errors=True) as scratch:
        spec = SandboxSpec(
            source=copy,
            scratch=Path(scratch),
            read_only=tuple(path for path in outside if not path.is_relative_to("/usr")),
            env={"PATH": f"{arguments.python.parent}:/usr/local/bin:/usr/bin:/bin"},
        )
        with open_sandbox(arguments.sandbox, spec) as sandbox:
            paths = [f"{sandbox.root}/src", str(sandbox.root)]
            project = Project(
                TestCommand("python -m pytest -q", "pytest"),
                python=arguments.python,
                read_only=spec.read_only,
                env={**spec.env, "PYTHONPATH": ":".join(paths)},
            )
            workspace = Workspace(sandbox, commit.strip(), env=project.env)
            found = propose(
                workspace, project, failing, k=5, time_limit_s=arguments.limit, seed=arguments.seed
            )
    subprocess.run(["git", "reset", "-q", "--hard", "HEAD~1"], cwd=copy, check=True)
    original = text.splitlines()[line - 1].strip()
    texts = [proposal.patch.after.get(name) for proposal in found.patches]
    exact = [number for number, new in enumerate(texts, 1) if new is not None and _same(new, text)]
    row: dict[str, object] = {
        "file": name,
        "line": line,
        "failing": len(failing),
        "solved": bool(found.patches),
        "original_at": exact[0] if exact else None,
        "first_s": found.seconds_to_first,
        "tried": found.tried,
        "template": found.patches[0].template if found.patches else found.message,
    }
    shown = f"solved ({found.patches[0].template})" if found.patches else f"NOT solved: {found.message}"
    print(f"{name}:{line}  {original!r:.70}  {len(failing)} failing  {shown}", flush=True)
    return row


def _same(one: str, two: str) -> bool:
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(two))
    except SyntaxError:
        return False


def report(rows: list[dict[str, object]], arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "seeded.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(
        "\n| place | failing | solved | original line at rank | first s | candidates |\n|---|---|---|---|---|---|"
    )
    for row in rows:
        first = f"{row['first_s']:.2f}" if row["first_s"] is not None else "-"
        print(
            f"| {row['file']}:{row['line']} | {row['failing']} | {'yes' if row['solved'] else 'no'} "
            f"| {row['original_at'] or '-'} | {first} | {row['tried']} |"
        )
    solved = sum(bool(row["solved"]) for row in rows)
    print(f"solved {solved}/{len(rows)}")
    print(f"not solved {len(rows) - solved}/{len(rows)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path, help="a git checkout whose tests run with --python")
    parser.add_argument("--bugs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each bug")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="interpreter with the dependencies"
    )
    parser.add_argument(
        "--tests", nargs="*", default=[], help="test files; default: the project's whole suite"
    )
    parser.add_argument("--sandbox", default="auto", choices=("auto", "namespace", "plain"))
    parser.add_argument("--out", type=Path, default=None)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
