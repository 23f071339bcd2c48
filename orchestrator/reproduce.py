"""Reproduction: the Tester's part. Which tests show the issue, and the files that hold new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..agents.loop import TurnResult
from ..agents.roles import TESTER
from ..prompts import render
from ..tools.patch import Patch
from ..tools.test_report import TestReport
from ..tools.workspace import Workspace
from .issue import Issue
from .suite import Suite
from .team import Assignment, Team

_NOT_A_REPRODUCTION = ("ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError", "fixture '")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What shows the issue. `targets` fail on the base commit and should pass after a fix."""

    targets: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path → text of test files that the team wrote; never part of the submitted patch."""
    generated: frozenset[str] = frozenset()
    """The targets that are the team's own."""
    summary: str = ""
    refused: tuple[str, ...] = ()
    """Generated tests that were dropped, each with the reason."""


async def reproduce(team: Team, suite: Suite, issue: Issue, *, samples: int = 1) -> Reproduction:
    """Run the Tester `samples` times on forks of the base and keep the tests that really show the issue:
    they fail on base by an assertion or the issue's own error, three times in the same way."""
    targets: set[str] = set()
    generated: set[str] = set()
    files: dict[str, str] = {}
    summary = ""
    refused: list[str] = []
    for number in range(samples):
        workspace = await asyncio.to_thread(suite.base.fork)
        try:
            result = await team.turn(_assignment(team, suite, issue, workspace, number))
            summary = summary or str(result.finish.get("summary", "")) or result.why
            named = _named(result)
            patch = await asyncio.to_thread(workspace.diff)
            new = _new_files(patch)
            known = {test for test in named if test in suite.baseline.failing}
            targets |= known
            kept, why = await _filter(suite, workspace, [test for test in named if test not in known], issue)
            refused += why
            if kept:
                targets |= kept
                generated |= kept
                files |= {path: text for path, text in new.items() if any(_in(path, test) for test in kept)}
        finally:
            await asyncio.to_thread(workspace.close)
        if result.status == "limit":
            break
    return Reproduction(frozenset(targets), files, frozenset(generated), summary, tuple(refused))


def _assignment(team: Team, suite: Suite, issue: Issue, workspace: Workspace, number: int) -> Assignment:
    path = f"tests/test_issue_{number}.py"
    task = render(
        "task",
        issue=issue.text,
        comments=issue.discussion,
        hints=issue.hints,
        test_command=team.project.test_command.command,
        failing_tests=sorted(suite.baseline.failing),
        reproduced=False,
        attention="",
    )
    return Assignment(
        TESTER,
        f"run/tester/{number}",
        task,
        workspace,
        seed=team.request.seed + number,
        reproduction_path=path,
    )


def _named(result: TurnResult) -> list[str]:
    value: Any = result.finish.get("failingTests", [])
    return (
        [str(test) for test in value] if isinstance(value, list) and result.finish.get("reproduced") else []
    )


def _new_files(patch: Patch) -> dict[str, str]:
    return {
        path: text
        for path, text in patch.after.items()
        if text is not None and patch.before.get(path) is None
    }


def _in(path: str, test: str) -> bool:
    return (
        test == path
        or test.startswith(f"{path}::")
        or test.startswith(path.removesuffix(".py").replace("/", "."))
    )


async def _filter(
    suite: Suite, workspace: Workspace, tests: Sequence[str], issue: Issue
) -> tuple[set[str], list[str]]:
    """Keep what fails three times alike and for a reason that can be the issue."""
    if not tests:
        return set(), []

    def run() -> list[TestReport]:
        return [suite.runner.run(workspace, tests, cold=True) for _ in range(3)]

    reports = await asyncio.to_thread(run)
    kept: set[str] = set()
    refused: list[str] = []
    for test in sorted({test for report in reports for test in report.results}):
        if not any(test == name or test.startswith((f"{name}::", f"{name}[")) for name in tests):
            continue
        results = [report.results.get(test) for report in reports]
        if not all(result is not None and result.outcome.bad for result in results):
            refused.append(f"{test}: does not fail on the base commit every time")
            continue
        message = results[0].message if results[0] else ""
        reason = next((word for word in _NOT_A_REPRODUCTION if word in message), None)
        if reason is not None and reason.strip(" '") not in issue.text:
            refused.append(f"{test}: fails by {reason.strip(chr(39))}, which is not the issue")
            continue
        kept.add(test)
    return kept, refused
