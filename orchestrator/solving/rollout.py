"""Rollout: one trajectory from a workspace to a candidate patch: Coder, tests, Debugger, Critic.

Each writer's turn with its tests and review is a step; other rollouts can start from any step.

It always rolls out to a finish: until the tests are green and the Critic accepts, or the repairs are used
up, or a limit is reached. What was reached until then is the candidate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ...agents.budget import Budget
from ...agents.conversation import Conversation
from ...agents.loop import TurnResult
from ...agents.roles import CODER, CRITERIA, CRITIC, DEBUGGER, SINGLE, Role
from ...prompts import render
from ...tools.errors import BudgetExceeded, PatchError
from ...tools.hygiene import Hygiene, Removed, clean_patch
from ...tools.patch import Patch
from ...tools.workspace import Workspace
from .check import Check
from .issue import Issue
from .relevance import Belonging
from .reproduce import Reproduction
from .suite import Suite
from .team import Assignment, Team

REPORT_CHARS = 6000
DIFF_CHARS = 20_000
NOTES_CHARS = 3000
"""Of what one role hands to the next."""


@dataclass(frozen=True, slots=True)
class Review:
    """The Critic's judgement. `score` is the mean of the criteria in [0, 1]; None: it gave none."""

    accept: bool
    score: float | None
    rationale: str
    sd: float | None = None
    k: int = 1


@dataclass(slots=True)
class Attempt:
    """A candidate as it stands after a step, and how it came about."""

    node: str
    """Node of the step (see `Plan.node_at`)."""
    status: str
    """finished | limit | failed (no patch)."""
    patch: Patch
    check: Check | None
    review: Review | None
    conversations: dict[str, Conversation]
    workspace: Workspace
    tree_hash: str | None = None
    removed: tuple[Removed, ...] = ()
    why: str = ""

    @property
    def tips(self) -> dict[str, str]:
        return {agent: talk.tip for agent, talk in self.conversations.items() if talk.tip}

    @property
    def done(self) -> bool:
        """Green and not rejected."""
        return self.check is not None and self.check.green and (self.review is None or self.review.accept)

    def rank(self) -> tuple[bool, bool, int, int, float, int]:
        """Order among candidates of one run, best highest: verified, no regression, targets passed,
        fewest broken, the Critic's score, the smaller diff."""
        if self.patch.is_empty or self.check is None:
            return (False, False, -1, 0, 0.0, 0)
        check = self.check
        score = self.review.score if self.review and self.review.score is not None else 0.0
        size = self.patch.added + self.patch.removed
        return (
            check.verified,
            check.green,
            len(check.passed_targets),
            -len(check.comparison.broken),
            score,
            -size,
        )


@dataclass(frozen=True, slots=True)
class Start:
    """Where a rollout that branches begins: a step of an earlier one. The workspace belongs to the rollout."""

    workspace: Workspace
    conversations: dict[str, Conversation]
    patch: Patch
    check: Check | None
    review: Review | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How one rollout differs from its siblings."""

    node_at: Callable[[int], str]
    """Id of the node of turn k."""
    seed: int
    temperature: float | None = None
    attention: str = ""
    """A hint for diversity: where to look first."""
    siblings: str = ""
    """What attempts from the same parent failed on."""
    model: str | None = None
    """Proposer; None: the role's own model."""
    rank: int = 0
    """How many earlier roots had the same proposer: a deterministic one offers its next patch."""
    ledger: Budget | None = None
    """Where the rollout's own spending is booked, beside the run's."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What every rollout of a run shares."""

    team: Team
    suite: Suite
    issue: Issue
    reproduction: Reproduction
    base: Workspace
    """Workspace on the base commit with the reproduction tests in place."""
    shown: Belonging = field(default_factory=Belonging)
    """The tests that failed before anybody edited."""
    on_step: Callable[[Attempt], None] = field(default=lambda attempt: None)
    """Hears of every step that has a patch, as soon as it was checked: the best so far goes to disk."""


async def rollout(
    stage: Stage,
    plan: Plan,
    start: Start | None = None,
    on_turn: Callable[[Attempt], None] = lambda attempt: None,
) -> Attempt:
    """One trajectory. With `start` it begins with the Debugger (the single agent) on an earlier step.
    `on_turn` hears of every step, in order, while its workspace is open. The caller closes the workspace of
    the returned attempt.

    Raises: ModelError, SandboxError (infrastructure: the rollout counts for nothing);
    asyncio.CancelledError. The workspace is closed then.
    """
    workspace = start.workspace if start else await asyncio.to_thread(stage.base.fork)
    attempt = Attempt(plan.node_at(0), "failed", Patch(""), None, None, {}, workspace)
    if start:
        attempt.conversations = dict(start.conversations)
        attempt.patch, attempt.check, attempt.review = start.patch, start.check, start.review
    single = stage.team.request.roles == "single"
    try:
        for turn in range(1 + stage.team.request.repairs):
            if turn == 0 and start is None:
                role, task = (SINGLE if single else CODER), _first_task(stage, plan)
            else:
                role = SINGLE if single else DEBUGGER
                task = _repair_task(attempt, plan.siblings if turn == 0 else "")
            before = attempt.tree_hash
            await _step(stage, plan, attempt, turn, role, task)
            on_turn(attempt)
            if attempt.done or attempt.status != "finished" or attempt.tree_hash == before:
                break  # done, at an end, or told what is wrong and standing by it
        return attempt
    except BaseException:
        await asyncio.shield(asyncio.to_thread(workspace.close))
        raise


async def _step(stage: Stage, plan: Plan, attempt: Attempt, turn: int, role: Role, task: str) -> None:
    """One writer's turn, then the check and, when green, the review. Updates `attempt`."""
    workspace = attempt.workspace

    def accept(arguments: Mapping[str, object]) -> str | None:
        if arguments.get("gaveUp"):
            return None
        found = _candidate(stage, workspace)
        if found.faults:
            return f"The patch cannot be submitted: {found.faults[0]}"
        if not found.patch.is_empty:
            return None
        return (
            "The working tree has no change yet, so there is no patch. Make one, or finish with gaveUp true."
        )

    attempt.node = plan.node_at(turn)
    talk = attempt.conversations.get(role.name)
    result = await stage.team.turn(
        Assignment(
            role,
            f"{attempt.node}/{role.name}/0",
            task,
            workspace,
            conversation=talk.fork() if talk else None,
            temperature=plan.temperature,
            seed=plan.seed,
            model=plan.model,
            accept=accept,
            rank=plan.rank,
            ledger=plan.ledger,
        )
    )
    attempt.conversations = {**attempt.conversations, role.name: result.conversation}
    attempt.why = str(result.finish.get("summary", "")) or result.why
    attempt.review = None
    before = attempt.tree_hash
    try:
        found = await asyncio.to_thread(_candidate, stage, workspace)
        attempt.tree_hash = await asyncio.to_thread(workspace.tree_hash)
    except PatchError as error:
        attempt.status, attempt.patch, attempt.check, attempt.why = "failed", Patch(""), None, str(error)
        return
    attempt.patch, attempt.removed = (Patch("") if found.faults else found.patch), tuple(found.removed)
    attempt.why = found.faults[0] if found.faults else attempt.why
    if attempt.patch.is_empty:
        attempt.status, attempt.check = ("limit" if result.status == "limit" else "failed"), None
        return
    attempt.status = "limit" if result.status == "limit" else "finished"
    if attempt.check is None or attempt.check.unknown or attempt.tree_hash != before:
        attempt.check = await stage.suite.check(workspace, attempt.patch, stage.reproduction.targets)
    stage.on_step(attempt)
    if attempt.check.green and result.status != "limit" and _wants_review(stage, attempt.check):
        await _review(stage, plan, attempt)
        stage.on_step(attempt)


def _wants_review(stage: Stage, check: Check) -> bool:
    """Under `auto` only where the tests leave a doubt: none that somebody else wrote shows the issue, or what was
    run near the change is not enough."""
    roles = stage.team.request.roles
    if roles == "auto":
        return not check.verified or check.passed_targets <= stage.reproduction.generated
    return roles == "team"


def _candidate(stage: Stage, workspace: Workspace) -> Hygiene:
    """The patch as it would be submitted. Raises: PatchError when no diff can be taken."""
    request = stage.team.request
    return clean_patch(
        workspace,
        workspace.diff(),
        protected=request.protected,
        keep_tests=request.keep_tests,
        reproduction_paths=tuple(stage.reproduction.files),
    )


async def _review(stage: Stage, plan: Plan, attempt: Attempt) -> None:
    assert attempt.check is not None
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
        not_run=attempt.check.evidence.not_run,
        notes=attempt.why[:NOTES_CHARS],
    )
    fork = await asyncio.to_thread(attempt.workspace.fork)
    try:
        result = await stage.team.turn(
            Assignment(CRITIC, f"{attempt.node}/critic/0", task, fork, seed=plan.seed, ledger=plan.ledger)
        )
    finally:
        await asyncio.shield(asyncio.to_thread(fork.close))
    attempt.conversations = {**attempt.conversations, CRITIC.name: result.conversation}
    attempt.review = _judgement(result)
    if result.status == "limit":
        attempt.status = "limit"
    elif attempt.review is not None and stage.team.request.critic_samples > 1:
        await _score(stage, plan, attempt)


async def _score(stage: Stage, plan: Plan, attempt: Attempt) -> None:
    """Put the repeated score in the place of the review's own."""
    assert attempt.review is not None
    work = Assignment(
        CRITIC, f"{attempt.node}/critic/1", "", attempt.workspace, seed=plan.seed, ledger=plan.ledger
    )
    try:
        found = await stage.team.score(
            work, attempt.conversations[CRITIC.name], stage.team.request.critic_samples
        )
    except BudgetExceeded:
        attempt.status = "limit"
        return
    if found is not None:
        attempt.review = replace(attempt.review, score=found.mean, sd=found.sd, k=found.k)


def _judgement(result: TurnResult) -> Review | None:
    if result.status != "finished":
        return None
    scores = result.finish.get("scores")
    values = (
        [scores[name] for name in CRITERIA if isinstance(scores.get(name), int | float)]
        if isinstance(scores, dict)
        else []
    )
    score = min(1.0, max(0.0, sum(values) / len(values) / 10)) if values else None
    return Review(bool(result.finish.get("accept")), score, str(result.finish.get("rationale", "")))


def _first_task(stage: Stage, plan: Plan) -> str:
    reproduction = stage.reproduction
    return render(
        "task",
        issue=stage.issue.text,
        comments=stage.issue.discussion,
        hints=stage.issue.hints,
        instructions=stage.team.instructions,
        test_command=stage.team.project.test_command.command,
        failing_tests=sorted(reproduction.targets or stage.shown.tests),
        unrelated=sorted(stage.shown.unrelated),
        reproduced=bool(reproduction.targets),
        attention=plan.attention,
        notes=reproduction.summary[:NOTES_CHARS] if reproduction.targets else "",
        tests={path: text[:NOTES_CHARS] for path, text in list(reproduction.files.items())[:2]},
    )


def _repair_task(attempt: Attempt, siblings: str) -> str:
    check, review = attempt.check, attempt.review
    output = check.report.output if check and check.report and not check.green else ""
    return render(
        "repair",
        notes=attempt.why[:NOTES_CHARS],
        patch=attempt.patch.text[:DIFF_CHARS],
        report=output[-REPORT_CHARS:],
        failing_tests=sorted(check.failed_targets) if check else [],
        broken=sorted(check.comparison.broken) if check else [],
        review=review.rationale if review and not review.accept else "",
        siblings=siblings,
    )
