"""Rollout: one trajectory from a workspace to a candidate patch: Coder, tests, Debugger, Critic.

It always rolls out to a finish: until the tests are green and the Critic accepts, or the repairs are used
up, or a limit is reached. What was reached until then is the candidate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..agents.conversation import Conversation
from ..agents.loop import TurnResult
from ..agents.roles import CODER, CRITERIA, CRITIC, DEBUGGER, SINGLE, Role, is_test_file
from ..prompts import render
from ..tools.hygiene import Removed, clean_patch
from ..tools.patch import Patch
from ..tools.workspace import Workspace
from .issue import Issue
from .reproduce import Reproduction
from .request import OFFLINE
from .suite import Check, Suite
from .team import Assignment, Team

REPORT_CHARS = 6000
DIFF_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Review:
    """The Critic's judgement. `score` is the mean of the criteria in [0, 1]; None: it gave none."""

    accept: bool
    score: float | None
    rationale: str


@dataclass(slots=True)
class Attempt:
    """A candidate and how it came about. `workspace` is open until `close`."""

    node: str
    status: str
    """finished | limit | failed (no patch)."""
    patch: Patch
    check: Check | None
    review: Review | None
    conversations: dict[str, Conversation]
    removed: tuple[Removed, ...] = ()
    workspace: Workspace | None = None
    why: str = ""
    turns: int = 0

    @property
    def tips(self) -> dict[str, str]:
        return {agent: talk.tip for agent, talk in self.conversations.items() if talk.tip}

    def rank(self) -> tuple[bool, bool, int, int, float, int]:
        """Order among candidates of one run, best highest: verified, no regression, targets passed,
        fewest broken, the Critic's score, the smaller diff."""
        if self.patch.is_empty or self.check is None:
            return (False, False, -1, 0, 0.0, 0)
        check = self.check
        score = self.review.score if self.review and self.review.score is not None else 0.0
        size = self.patch.added + self.patch.removed
        return (check.verified, check.green, len(check.passed_targets), -len(check.comparison.broken), score, -size)


@dataclass(frozen=True, slots=True)
class Plan:
    """How one rollout differs from its siblings."""

    node: str
    seed: int
    temperature: float | None = None
    attention: str = ""
    """A hint for diversity: where to look first."""
    siblings: str = ""
    """What attempts from the same parent failed on."""
    model: str | None = None
    """Proposer; None: the role's own model."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What every rollout of a run shares."""

    team: Team
    suite: Suite
    issue: Issue
    reproduction: Reproduction
    base: Workspace
    """Workspace on the base commit with the reproduction tests in place."""
    on_candidate: Callable[[Attempt], None] = field(default=lambda attempt: None)
    """Hears of every candidate as soon as it was checked: the best so far goes to disk."""


async def rollout(stage: Stage, plan: Plan, parent: Attempt | None = None) -> Attempt:
    """One trajectory. From `parent` it starts with the Debugger on the parent's tree and conversations.

    Raises: ModelError, SandboxError (infrastructure: the rollout counts for nothing);
    asyncio.CancelledError. The workspace of a raised rollout is closed.
    """
    workspace = await asyncio.to_thread(_start, stage, parent)
    attempt = Attempt(plan.node, "failed", Patch(""), None, None, {}, workspace=workspace)
    try:
        if parent is None:
            await _write(stage, plan, attempt, _writer(stage), _first_task(stage, plan))
        else:
            attempt.conversations = {name: talk.fork() for name, talk in parent.conversations.items()}
            attempt.check, attempt.review, attempt.patch = parent.check, parent.review, parent.patch
            await _write(stage, plan, attempt, _mender(stage), _repair_task(plan, attempt))
        for _ in range(stage.team.request.repairs):
            if _done(attempt) or attempt.status == "limit" or attempt.patch.is_empty:
                break
            await _write(stage, plan, attempt, _mender(stage), _repair_task(replace(plan, siblings=""), attempt))
        return attempt
    except BaseException:
        await asyncio.shield(asyncio.to_thread(workspace.close))
        raise


def _start(stage: Stage, parent: Attempt | None) -> Workspace:
    if parent is None:
        return stage.base.fork()
    if parent.workspace is not None:
        return parent.workspace.fork()
    workspace = stage.base.fork()
    workspace.apply(parent.patch)
    return workspace


def _writer(stage: Stage) -> Role:
    return SINGLE if stage.team.request.roles == "single" else CODER


def _mender(stage: Stage) -> Role:
    return SINGLE if stage.team.request.roles == "single" else DEBUGGER


def _done(attempt: Attempt) -> bool:
    return attempt.check is not None and attempt.check.green and (attempt.review is None or attempt.review.accept)


async def _write(stage: Stage, plan: Plan, attempt: Attempt, role: Role, task: str) -> None:
    """One writer's turn, then the check and, when green, the review. Updates `attempt`."""
    workspace = attempt.workspace
    assert workspace is not None

    def accept(arguments: Mapping[str, Any]) -> str | None:
        if arguments.get("gaveUp") or not _candidate(stage, workspace)[0].is_empty:
            return None
        return "The working tree has no change yet, so there is no patch. Make one, or finish with gaveUp true."

    talk = attempt.conversations.get(role.name)
    result = await stage.team.turn(
        Assignment(
            role,
            f"{plan.node}/{role.name}/{attempt.turns}",
            task,
            workspace,
            conversation=talk.fork() if talk else None,
            temperature=plan.temperature,
            seed=plan.seed,
            model=plan.model,
            accept=accept,
        )
    )
    attempt.turns += 1
    attempt.conversations[role.name] = result.conversation
    attempt.why = str(result.finish.get("summary", "")) or result.why
    attempt.patch, attempt.removed = await asyncio.to_thread(_candidate, stage, workspace)
    attempt.status = "limit" if result.status == "limit" else "failed" if attempt.patch.is_empty else "finished"
    attempt.review = None
    if attempt.patch.is_empty:
        return
    attempt.check = await stage.suite.check(workspace, attempt.patch.files, stage.reproduction.targets)
    stage.on_candidate(attempt)
    if attempt.check.green and result.status != "limit" and stage.team.request.roles == "team":
        await _review(stage, plan, attempt)
        stage.on_candidate(attempt)


def _candidate(stage: Stage, workspace: Workspace) -> tuple[Patch, tuple[Removed, ...]]:
    request = stage.team.request
    cleaned = clean_patch(
        workspace,
        workspace.diff(),
        protected=request.protected,
        keep_tests=request.keep_tests,
        reproduction_paths=tuple(stage.reproduction.files),
    )
    return cleaned.patch, tuple(cleaned.removed)


async def _review(stage: Stage, plan: Plan, attempt: Attempt) -> None:
    assert attempt.workspace is not None and attempt.check is not None
    if (plan.model or stage.team.request.model_of("critic")) == OFFLINE and stage.team.request.model_of(
        "critic"
    ) == OFFLINE and not stage.reproduction.targets:
        return
    comparison = attempt.check.comparison
    task = render(
        "review",
        issue=stage.issue.text,
        comments=stage.issue.discussion,
        patch=attempt.patch.text[:DIFF_CHARS],
        tests=attempt.check.summary(),
        fixed=sorted(comparison.fixed | attempt.check.passed_targets),
        broken=sorted(comparison.broken),
        failing_tests=sorted(attempt.check.failed_targets),
    )
    fork = await asyncio.to_thread(attempt.workspace.fork)
    try:
        result = await stage.team.turn(
            Assignment(CRITIC, f"{plan.node}/critic/{attempt.turns - 1}", task, fork, seed=plan.seed)
        )
    finally:
        await asyncio.to_thread(fork.close)
    attempt.conversations[CRITIC.name] = result.conversation
    attempt.review = _judgement(result)
    if result.status == "limit":
        attempt.status = "limit"


def _judgement(result: TurnResult) -> Review | None:
    if result.status != "finished":
        return None
    scores = result.finish.get("scores")
    values = [scores[name] for name in CRITERIA if isinstance(scores.get(name), int | float)] if isinstance(
        scores, dict
    ) else []
    score = min(1.0, max(0.0, sum(values) / len(values) / 10)) if values else None
    return Review(bool(result.finish.get("accept")), score, str(result.finish.get("rationale", "")))


def _first_task(stage: Stage, plan: Plan) -> str:
    reproduction = stage.reproduction
    return render(
        "task",
        issue=stage.issue.text,
        comments=stage.issue.discussion,
        hints=stage.issue.hints,
        test_command=stage.team.project.test_command.command,
        failing_tests=sorted(reproduction.targets or stage.suite.baseline.failing),
        reproduced=bool(reproduction.targets),
        attention=plan.attention,
    )


def _repair_task(plan: Plan, attempt: Attempt) -> str:
    check, review = attempt.check, attempt.review
    output = check.report.output if check and check.report and not check.green else ""
    return render(
        "repair",
        patch=attempt.patch.text[:DIFF_CHARS],
        report=output[-REPORT_CHARS:],
        failing_tests=sorted(check.failed_targets) if check else [],
        broken=sorted(check.comparison.broken) if check else [],
        review=review.rationale if review and not review.accept else "",
        siblings=plan.siblings,
    )


def edits_tests(patch: Patch) -> list[str]:
    """Existing test files that a patch changes."""
    return [path for path in patch.files if is_test_file(path) and patch.before.get(path) is not None]
