"""Warm against cold test runs on random mutants of a repository: time, and whether the verdicts agree.

    python bench/tests.py CHECKOUT TESTFILE [TESTFILE ...] [--mutants 200]

Feedback is what a caller waits for: a warm run where one can be trusted, else a cold one. Where running the
tests takes longer than getting ready to run them, there is little to gain.

Exits 0 when feedback is at least 3 times faster than cold pytest and every verdict is the same.
"""

from __future__ import annotations

import argparse
import ast
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from swe_agent.tools.project.prepare import prepare_project, unpack_artefacts
from swe_agent.tools.project.spec import Project
from swe_agent.tools.sandbox import Limits, SandboxSpec, open_sandbox
from swe_agent.tools.testing.report import TestReport
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.testing.warm.cold import test_environment
from swe_agent.tools.workspace import Workspace

GOAL = 3.0


@dataclass(frozen=True)
class Mutant:
    """One small edit of one file."""

    path: str
    text: str
    what: str


def mutants(root: Path, lines: Mapping[str, set[int]], count: int, seed: int) -> Iterator[Mutant]:
    """Random mutants on lines that the tests execute: an operator, a constant, a condition or a return
    value is changed. Some no longer import; that is part of life."""
    order = random.Random(seed)
    sites: dict[str, list[tuple[ast.expr, str]]] = {}
    for path in sorted(lines):
        source = (root / path).read_text("utf-8")
        found = [s for s in _sites(ast.parse(source)) if s[0].lineno in lines[path]]
        if found:
            sites[path] = found
    paths = sorted(sites)
    for _ in range(count):
        path = order.choice(paths)
        node, new = order.choice(sites[path])
        text = (root / path).read_text("utf-8")
        yield Mutant(path, _replaced(text, node, new), f"{path}:{node.lineno}")


def _sites(tree: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    swaps: dict[type, str] = {
        ast.Lt: ">=",
        ast.Gt: "<=",
        ast.Eq: "!=",
        ast.NotEq: "==",
        ast.LtE: ">",
        ast.GtE: "<",
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in swaps:
            yield (
                node,
                f"{ast.unparse(node.left)} {swaps[type(node.ops[0])]} {ast.unparse(node.comparators[0])}",
            )
        elif isinstance(node, ast.Constant) and type(node.value) is bool:
            yield node, repr(not node.value)
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield node, repr(node.value + 1)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            sign = "-" if isinstance(node.op, ast.Add) else "+"
            yield node, f"({ast.unparse(node.left)} {sign} {ast.unparse(node.right)})"
        elif isinstance(node, ast.If):
            yield node.test, f"not ({ast.unparse(node.test)})"
        elif isinstance(node, ast.Return) and node.value is not None:
            yield node.value, "None"


def _replaced(text: str, node: ast.expr, new: str) -> str:
    lines = text.splitlines(keepends=True)
    start = sum(len(line.encode()) for line in lines[: node.lineno - 1]) + node.col_offset
    end = sum(len(line.encode()) for line in lines[: (node.end_lineno or node.lineno) - 1]) + (
        node.end_col_offset or 0
    )
    data = text.encode()
    return (data[:start] + new.encode() + data[end:]).decode()


def verdict(report: TestReport) -> dict[str, str]:
    return {test: result.outcome.value for test, result in report.results.items()}


def plain_pytest(workspace: Workspace, project: Project, files: list[str], timeout: float) -> float:
    """Seconds of `python -m pytest FILES` as anyone would run it, bytecode caches in place."""
    env = {
        k: v for k, v in test_environment(project, workspace.root).items() if k != "PYTHONDONTWRITEBYTECODE"
    }
    start = time.perf_counter()
    workspace.sandbox.exec(["python", "-m", "pytest", "-q", *files], env=env, timeout=timeout)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "swe-agent")
    parser.add_argument("--only", default="", help="mutate files whose path starts with this only")
    parser.add_argument("--timeout", type=float, default=120.0)
    options = parser.parse_args()
    checkout: Path = options.checkout.resolve()
    base = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    project = prepare_project(checkout, cache=options.cache, sandbox_kind=options.sandbox)
    with tempfile.TemporaryDirectory(prefix="swe-agent-bench-") as scratch:
        bytecode = Path(scratch, "bytecode")
        bytecode.mkdir()
        spec = SandboxSpec(
            checkout,
            Path(scratch),
            read_only=(*project.read_only, bytecode),
            env=project.env,
            limits=Limits(memory_bytes=8 << 30),
        )
        with (
            open_sandbox(options.sandbox, spec) as sandbox,
            Workspace(sandbox, base, env=project.env) as workspace,
            TestRunner(project, bytecode=bytecode) as runner,
        ):
            unpack_artefacts(sandbox, project)
            workspace.refresh_index()
            return compare_runs(workspace, project, runner, checkout, options)


def compare_runs(
    workspace: Workspace, project: Project, runner: TestRunner, checkout: Path, options: argparse.Namespace
) -> int:
    files: list[str] = options.tests
    tests = {f.partition("::")[0] for f in files}
    coverage = runner.map_coverage(workspace, files, timeout=600)
    lines: dict[str, set[int]] = {}
    for covered in coverage.lines.values():
        for path, numbers in covered.items():
            if path not in tests and path.startswith(options.only) and path.endswith(".py"):
                lines.setdefault(path, set()).update(numbers)
    print(f"{len(coverage.lines)} tests execute {sum(map(len, lines.values()))} lines of {len(lines)} files")
    runner.prime(workspace, files)
    feedback_s, warm_s, cold_s, plain_s = [], [], [], []
    differing, fallen, killed = [], 0, 0
    with workspace.fork() as used:
        plain_pytest(used, project, files, options.timeout)
        for number, mutant in enumerate(mutants(checkout, lines, options.mutants, options.seed)):
            with workspace.fork() as fork:
                fork.write_text(mutant.path, mutant.text)
                start = time.perf_counter()
                warm = runner.run(fork, files, timeout=options.timeout)
                middle = time.perf_counter()
                cold = runner.run(fork, files, timeout=options.timeout, cold=True)
                end = time.perf_counter()
            feedback_s.append(middle - start)
            cold_s.append(end - middle)
            if warm.warm:
                warm_s.append(middle - start)
            else:
                fallen += 1
            killed += bool(cold.failing or cold.collection_errors)
            if verdict(warm) != verdict(cold):
                differing.append((mutant, warm, cold))
                names = [
                    t for t in {*warm.results, *cold.results} if verdict(warm).get(t) != verdict(cold).get(t)
                ]
                print(f"  verdicts differ: {mutant.what}: {names[:3]}", file=sys.stderr)
            if number % 10 == 0:
                print(f"  {number}/{options.mutants}", end="\r", file=sys.stderr, flush=True)
                used.write_text(mutant.path, mutant.text)
                plain_s.append(plain_pytest(used, project, files, options.timeout))
                used.write_text(mutant.path, (checkout / mutant.path).read_text("utf-8"))
    if not warm_s:
        print(f"no run was warm: {runner.why_cold(files)}")
        return 1
    plain, cold_median, feedback, warm_median = (
        statistics.median(v) for v in (plain_s, cold_s, feedback_s, warm_s)
    )
    print(f"{'':24}{'median ms':>10}{'times':>8}")
    rows = (
        ("python -m pytest", plain),
        ("cold run", cold_median),
        ("feedback", feedback),
        ("of it warm runs", warm_median),
    )
    for name, value in rows:
        print(f"{name:24}{value * 1000:>10.0f}{plain / value:>8.1f}")
    print(
        f"{options.mutants} mutants, {killed} killed, {fallen} fell back to cold, {len(differing)} verdicts differ"
    )
    good = plain / feedback >= GOAL and not differing
    print("goals hold" if good else f"goals missed (at least {GOAL:g} times faster, no verdict differs)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
