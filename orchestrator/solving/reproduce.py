"""Reproduction: the Tester's part. Which tests show the issue, and the files that hold new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...agents.loop import TurnResult
from ...agents.roles import TESTER
from ...prompts import render
from ...tools.errors import PatchError
from ...tools.testing.report import TestReport
from ...tools.workspace import Workspace
from .issue import Issue
from .relevance import Belonging
from .reproduction import RUNS, Kept, merge, sift
from .suite import Suite
from .team import Assignment, Team


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
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """Generated target → its share of a vote: tests that fail alike on base share one."""


async def reproduce(
    team: Team, suite: Suite, issue: Issue, shown: Belonging, *, samples: int = 1, first: int = 0
) -> Reproduction:
    """Run the Tester `samples` times on forks of the base and keep the tests that really show the issue:
    they fail on base by an assertion or the issue's own error, three times in the same way. `first`: number
    of the first sample, when earlier ones were taken before."""
    parts: list[Kept] = []
    targets: set[str] = set()
    generated: set[str] = set()
    files: dict[str, str] = {}
    summary = ""
    for number in range(first, first + samples):
        workspace = await asyncio.to_thread(suite.base.fork)
        try:
            result = await team.turn(_assignment(team, issue, shown, workspace, number))
            summary = summary or str(result.finish.get("summary", "")) or result.why
            named = _named(result)
            new = await asyncio.to_thread(_new_files, workspace)
            there = [test for test in named if suite.commit.home(test) is not None]
            known = await asyncio.to_thread(suite.failing_on_base, there)
            targets |= known
            part = await _filter(suite, workspace, [test for test in named if test not in known], issue)
            parts.append(part)
            kept = set(part.tests)
            if kept:
                targets |= kept
                generated |= kept
                files |= {path: text for path, text in new.items() if any(_in(path, test) for test in kept)}
        finally:
            await asyncio.to_thread(workspace.close)
        if result.status == "limit":
            break
    whole = merge(parts)
    refused = tuple(f"{test}: {why}" for test, why in whole.refused.items())
    return Reproduction(
        frozenset(targets), files, frozenset(generated), summary, refused, weights=whole.weights
    )


def _assignment(team: Team, issue: Issue, shown: Belonging, workspace: Workspace, number: int) -> Assignment:
    path = f"tests/test_issue_{number}.py"
    task = render(
        "task",
        issue=issue.text,
        comments=issue.discussion,
        hints=issue.hints,
        instructions=team.instructions,
        test_command=team.project.test_command.command,
        failing_tests=sorted(shown.tests),
        unrelated=sorted(shown.unrelated),
        reproduced=False,
        attention="",
        notes="",
        tests={},
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


def _new_files(workspace: Workspace) -> dict[str, str]:
    """None when no patch can be made of what the Tester left: its tests are then not kept."""
    try:
        patch = workspace.diff()
    except PatchError:
        return {}
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


async def _filter(suite: Suite, workspace: Workspace, tests: Sequence[str], issue: Issue) -> Kept:
    """Keep what fails alike every time and for a reason that can be the issue."""
    if not tests:
        return Kept((), {})

    def run() -> list[TestReport]:
        return [suite.runner.run(workspace, tests, timeout=suite.room(), cold=True) for _ in range(RUNS)]

    return sift(await asyncio.to_thread(run), tests, issue.text)
