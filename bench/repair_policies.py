"""A real landscape: policies of offline/repair on HumanEvalFix, success against candidates executed."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from offline_repair import project_of_this_interpreter, workspace_of
from repair_check import check
from repair_tasks import Task, humanevalfix

from swe_agent.agents.offline.propose import Proposal, propose
from swe_agent.orchestrator.search.node import Candidate, Measurement
from swe_agent.orchestrator.search.selection import select
from swe_agent.tools.project.spec import Project

AT = (25, 50, 100, 200, 400, 800, 1600)


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    k: int = 1
    """Plausible patches to find before one is chosen."""
    issue: Callable[[Task], str] = lambda task: ""


def docstring(task: Task) -> str:
    """What the program should do, as its own docstring says it."""
    tree = ast.parse(task.files[task.source])
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return max(texts, key=len, default="")


POLICIES = (
    Policy("first patch"),
    Policy("first, with the issue", issue=docstring),
    Policy("choose among three", k=3, issue=docstring),
)


def choose(found: Sequence[Proposal]) -> Proposal:
    """The product's selection; every proposal passes the same tests, so size and order decide."""
    candidates = [
        Candidate(
            node=str(i), root=str(i), order=i, patch=p.patch, normalised_hash=p.patch.normalised_hash(),
            evaluation=Measurement(broken=()), reward=None, votes=(str(i),), voters=(str(i),),
        )
        for i, p in enumerate(found)
    ]  # fmt: skip
    chosen = select(candidates).chosen
    assert chosen is not None
    return found[chosen.order]


@dataclass(frozen=True, slots=True)
class Outcome:
    tried: int
    plausible: bool
    correct: bool
    """The same results as the reference on generated inputs."""


def attempt(task: Task, policy: Policy, project: Project, limit_s: float, sandbox: str) -> Outcome:
    with workspace_of(task.files, project, sandbox) as workspace:
        found = propose(
            workspace, project, task.failing, k=policy.k, issue_text=policy.issue(task), time_limit_s=limit_s
        )
    if not found.patches:
        return Outcome(found.tried, False, False)
    picked = choose(found.patches)
    return Outcome(found.tried, True, bool(check(task, picked.patch.after[task.source] or "", seed=0).same))


def table(results: dict[str, list[Outcome]]) -> str:
    head = f"{'policy':24}" + "".join(f"{at:>8}" for at in AT) + f"{'plausible':>11}{'correct':>9}"
    out = ["Correct after so many candidates executed", "", head, "-" * len(head)]
    for name, outcomes in results.items():
        count = len(outcomes)
        cells = "".join(f"{sum(o.correct and o.tried <= at for o in outcomes) / count:8.1%}" for at in AT)
        plausible = sum(o.plausible for o in outcomes) / count
        out.append(f"{name:24}{cells}{plausible:11.1%}{sum(o.correct for o in outcomes) / count:9.1%}")
    return "\n".join(out)


def run(args: argparse.Namespace) -> int:
    """Raises: SystemExit when the file cannot be read."""
    path: Path = args.humanevalfix
    if not path.is_file():
        raise SystemExit(f"{path} is not a file: give HumanEvalFix as JSON lines")
    tasks = list(humanevalfix(path))[: args.tasks]
    project = project_of_this_interpreter()
    results: dict[str, list[Outcome]] = {policy.name: [] for policy in POLICIES}
    for number, task in enumerate(tasks, 1):
        for policy in POLICIES:
            results[policy.name].append(attempt(task, policy, project, args.limit, args.sandbox))
        print(f"{number}/{len(tasks)} {task.name}", file=sys.stderr, flush=True)
    print(table(results))
    print(f"\n{len(tasks)} tasks, {args.limit:g} s each at most")
    return 0
