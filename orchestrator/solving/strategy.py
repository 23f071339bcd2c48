"""choose: the search over rollouts, and the patch to submit.

Here the search, which knows no agent, meets the rollouts, which know no tree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...agents.conversation import Conversation
from ...tools.errors import ModelError, RecordError, SandboxError, SweAgentError
from ...tools.patch import Patch
from ...tools.workspace import Workspace
from ..record.conversations import rebuild
from ..record.events import ReproductionAdded
from ..record.journal import Journal
from ..record.recorder import Recorder
from ..request import SolveRequest
from ..search.config import SearchConfig
from ..search.cost import Cost
from ..search.node import Candidate, CriticScore, Measurement, Rollout, Status, Step
from ..search.request import ExpandRequest
from ..search.search import search
from ..settings import OFFLINE
from ..verifiers.case import Case
from ..verifiers.panel import Panel
from .check import Check
from .reproduce import reproduce
from .rollout import Attempt, Plan, Stage, Start, rollout

LAST_LOOK = 2
"""Samples of the Tester beyond the first, taken when there are candidates to choose between."""
ATTENTION = {
    "issue": "",
    "tests": "Start from the failing tests and work inward: which line first computes something wrong?",
    "callers": "Start from the callers of the code that the issue names: what do they rely on?",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the search decided to submit, and why."""

    patch: Patch
    limit: bool = False
    why: str = ""
    confidence: float | None = None
    reasons: tuple[str, ...] = ()
    abstained: bool = False
    candidates: Mapping[str, Patch] = field(default_factory=dict[str, Patch])
    """Node → distinct patch that was found, the chosen one first."""


async def choose(stage: Stage, request: SolveRequest, recorder: Recorder, journal: Journal) -> Choice:
    """Run the search to its end. Raises: ModelError, SandboxError when the infrastructure failed rollouts and
    no other found a candidate, or `request.complete` asks for all of them; asyncio.CancelledError."""
    expander = Expander(stage, request, recorder, journal)
    if request.verifier is not None:
        expander.panel = Panel(request.verifier, recorder)
    try:
        result = await search(
            expander.expand,
            search_config(request),
            recorder,
            judge=expander.judge if request.roles != "single" and request.search != "linear" else None,
        )
    finally:
        await asyncio.shield(asyncio.to_thread(expander.close))
    lost = [f.rollout.error for f in result.finished if f.rollout.status == Status.INFRASTRUCTURE]
    if lost and (result.selected is None or request.complete):
        raise expander.failure or SandboxError(lost[0])
    if expander.unjudged is not None and request.complete:
        raise expander.unjudged
    limit = any(finish.rollout.status == Status.LIMIT for finish in result.finished)
    candidates = {found.node: found.patch for found in result.candidates}
    if result.selected is None:
        why = next((finish.rollout.failures[-1] for finish in result.finished if finish.rollout.failures), "")
        return Choice(Patch(""), limit, why, reasons=result.reasons, candidates=candidates)
    return Choice(
        result.selected.patch,
        limit,
        "",
        result.confidence,
        result.reasons,
        result.abstained and request.search != "linear",
        {result.selected.node: result.selected.patch} | candidates,
    )


def search_config(request: SolveRequest) -> SearchConfig:
    """The search's numbers for a request."""
    linear = request.search == "linear"
    proposers = ("offline",) if request.model == OFFLINE else request.proposers or ("llm",)
    return SearchConfig(
        kind=request.search,
        samples=request.rollouts,
        width=request.width,
        workers=request.workers,
        seed=request.seed,
        proposers=proposers,
        limits=Cost(usd=request.limits.usd, tokens=request.limits.tokens, test_s=request.limits.test_s),
        holdback=0.0 if linear else 0.05,
        max_infrastructure=1 if linear else 3,
        retries=0 if linear else 1,
    )


@dataclass(slots=True)
class _Point:
    """A step that other rollouts may start from, as long as this process lives."""

    conversations: dict[str, Conversation]
    patch: Patch
    attempt: Attempt | None
    snapshot: Workspace | None


@dataclass(slots=True)
class Expander:
    """`expand` and `judge` for the search, over real rollouts."""

    stage: Stage
    request: SolveRequest
    recorder: Recorder
    journal: Journal
    failure: SweAgentError | None = None
    """Why a rollout was lost to the infrastructure."""
    panel: Panel | None = None
    unjudged: SweAgentError | None = None
    """Why the last look at the candidates was."""
    _points: dict[str, _Point] = field(default_factory=dict[str, _Point])

    async def expand(self, asked: ExpandRequest) -> Rollout:
        """One rollout. Infrastructure errors pass through; the search retries or counts them."""
        ledger = self.stage.team.budget.sub(asked.node)
        variant = asked.variant
        plan = Plan(
            asked.node_at,
            asked.seed,
            temperature=None if self.request.same_prompt else variant.temperature,
            attention="" if self.request.same_prompt else ATTENTION.get(variant.localisation, ""),
            siblings="\n\n".join(f"{s.patch}\n{'; '.join(s.failures)}" for s in asked.siblings),
            model=OFFLINE if variant.proposer == "offline" and self.request.model != OFFLINE else None,
            rank=variant.rank,
            ledger=ledger,
        )
        steps: list[Step] = []

        def on_turn(attempt: Attempt) -> None:
            expected = self.journal.tree_hashes.get(attempt.node)
            if expected is not None and expected != attempt.tree_hash:
                raise RecordError(
                    f"the replay diverges at {attempt.node}: the tree is {attempt.tree_hash}, recorded was {expected}"
                )
            steps.append(self._step(attempt))
            self._remember(attempt)

        try:
            start = await asyncio.to_thread(self._start, asked) if asked.parent is not None else None
            attempt = await rollout(self.stage, plan, start, on_turn)
        except (ModelError, SandboxError) as error:
            self.failure = error
            raise
        await asyncio.shield(asyncio.to_thread(attempt.workspace.close))
        spent = ledger.spent
        steps = [
            replace(s, evaluation=await self._verified(s.evaluation, Patch(s.patch or ""))) for s in steps
        ]
        return Rollout(
            status=Status(attempt.status),
            patch=attempt.patch,
            tree_hash=attempt.tree_hash,
            steps=tuple(steps),
            tips=attempt.tips,
            cost=Cost(usd=spent.usd, tokens=spent.tokens, turns=len(steps), test_s=None),
            evaluation=await self._verified(self._evaluation(attempt), attempt.patch),
            failures=tuple(line for line in (attempt.why,) if line and not attempt.done),
            normalised_hash=attempt.patch.normalised_hash() if not attempt.patch.is_empty else None,
        )

    async def judge(self, candidates: Sequence[Candidate]) -> dict[str, Measurement]:
        """A last look before the choice: two more samples of the Tester, run on every candidate."""
        try:
            return await self._judge(candidates)
        except (ModelError, SandboxError) as error:
            self.unjudged = error
            raise

    async def _judge(self, candidates: Sequence[Candidate]) -> dict[str, Measurement]:
        stage, known = self.stage, self.stage.reproduction
        if self.request.model_of("tester") == OFFLINE:
            return {}
        more = await reproduce(stage.team, stage.suite, stage.issue, stage.shown, samples=LAST_LOOK, first=1)
        added = more.generated - known.targets
        self.recorder.append(
            ReproductionAdded(targets=sorted(added), files=dict(more.files), refused=list(more.refused))
        )
        if not added:
            return {}
        found: dict[str, Measurement] = {}
        for candidate in candidates:
            fork = await asyncio.to_thread(self._patched, candidate.patch, more.files)
            try:
                check = await stage.suite.check(fork, candidate.patch, added)
            finally:
                await asyncio.shield(asyncio.to_thread(fork.close))
            before = candidate.evaluation
            after = replace(
                before,
                reproduction={
                    **before.reproduction,
                    **{test: test in check.passed_targets for test in added},
                },
                generated=before.generated | added,
                weights={**before.weights, **more.weights},
            )
            found[candidate.node] = await self._verified(after, candidate.patch) or after
        return found

    async def _verified(self, evaluation: Measurement | None, patch: Patch) -> Measurement | None:
        """With what the verifier says; where it cannot be asked, that, once on the screen: it ends no run."""
        if self.panel is None or evaluation is None or patch.is_empty:
            return evaluation
        said = await self.panel.opinion(Case(self.stage.issue.text, patch, evaluation))
        return replace(evaluation, verifier=said)

    def _patched(self, patch: Patch, more: Mapping[str, str]) -> Workspace:
        """The clean base with the patch, and over it the team's tests (the patch may hold some of them)."""
        fork = self.stage.suite.base.fork()
        try:
            fork.apply(patch)
            for path, text in {**self.stage.reproduction.files, **more}.items():
                fork.write_text(path, text)
        except BaseException:
            fork.close()
            raise
        return fork

    def _remember(self, attempt: Attempt) -> None:
        keep = self.request.search == "tree" and attempt.workspace.sandbox.kind == "namespace"
        self._points[attempt.node] = _Point(
            dict(attempt.conversations), attempt.patch, attempt, attempt.workspace.fork() if keep else None
        )

    def _start(self, asked: ExpandRequest) -> Start:
        """The parent's workspace and conversations; after a resume they are rebuilt from the log."""
        assert asked.parent is not None
        assert asked.parent_step is not None
        point = self._points.get(asked.parent)
        if point is None:
            tips = asked.parent_step.tips
            point = _Point(
                {
                    agent: rebuild(self.journal.events, tip, self.stage.team.pictures.urls)
                    for agent, tip in tips.items()
                },
                Patch(asked.parent_step.patch or ""),
                None,
                None,
            )
            self._points[asked.parent] = point
        workspace = point.snapshot.fork() if point.snapshot is not None else self._patched(point.patch, {})
        attempt = point.attempt
        return Start(
            workspace,
            dict(point.conversations),
            point.patch,
            attempt.check if attempt else None,
            attempt.review if attempt else None,
        )

    def close(self) -> None:
        """Close the snapshots."""
        for point in self._points.values():
            if point.snapshot is not None:
                point.snapshot.close()

    def _step(self, attempt: Attempt) -> Step:
        return Step(
            tree_hash=attempt.tree_hash,
            tips=attempt.tips,
            patch=attempt.patch.text,
            evaluation=self._evaluation(attempt),
            agent=next(
                (name for name in ("debugger", "single", "coder") if name in attempt.conversations), None
            ),
            forkable=not attempt.patch.is_empty,
        )

    def _evaluation(self, attempt: Attempt) -> Measurement | None:
        if attempt.check is None:
            return None
        review = attempt.review
        critic = None
        # The offline model repeats what the tests said: that is no second opinion.
        asked = self.request.model_of("critic") != OFFLINE
        if asked and review is not None and review.score is not None:
            critic = CriticScore(review.score, review.sd, review.k, review.rationale)
        return self._measured(attempt.check, critic)

    def _measured(self, check: Check, critic: CriticScore | None) -> Measurement:
        report = check.report
        results = report.results if report else {}
        bad = {
            test: result.message.strip().splitlines()[-1:]
            for test, result in results.items()
            if result.outcome.bad
        }
        relevant = check.comparison.broken | check.failed_targets
        return Measurement(
            reproduction={test: test in check.passed_targets for test in sorted(check.targets)},
            broken=tuple(sorted(check.comparison.broken)) if report else None,
            critic=critic,
            outcomes={test: str(result.outcome) for test, result in results.items()},
            failures={test: (bad.get(test) or ["missing"])[0] for test in sorted(relevant)},
            generated=check.targets & self.stage.reproduction.generated,
            weights=dict(self.stage.reproduction.weights),
            heard="" if check.whole else check.evidence.words(),
            share=1.0 if check.evidence.share is None else round(check.evidence.share, 4),
            wall_s=report.duration_s if report else None,
        )
