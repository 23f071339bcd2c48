"""choose: run the search over rollouts and return the patch to submit."""

from __future__ import annotations

from dataclasses import dataclass

from ..agents.budget import Budget
from ..tools.patch import Patch
from .record.journal import RunJournal
from .record.recorder import Recorder
from .request import SolveRequest
from .rollout import Plan, Stage, rollout


@dataclass(frozen=True, slots=True)
class Choice:
    """What the search decided to submit, and why."""

    patch: Patch
    limit: bool = False
    why: str = ""
    confidence: float | None = None
    reasons: tuple[str, ...] = ()


async def choose(
    stage: Stage, request: SolveRequest, recorder: Recorder, journal: RunJournal, budget: Budget
) -> Choice:
    attempt = await rollout(stage, Plan("n0", request.seed))
    if attempt.workspace is not None:
        attempt.workspace.close()
    return Choice(attempt.patch, attempt.status == "limit", attempt.why)
