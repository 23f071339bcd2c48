"""The search: decide in logical order, work in parallel, commit in logical order.

Every decision reads only what was committed before it, and rollouts are committed in the order in which
they were decided, whichever finished first. So the tree, the finished rollouts and the selected patch
depend on the seed and the configuration, never on the number of workers or on timing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...tools.errors import BudgetExceeded, CredentialsError, ModelError, SandboxError
from ..record.decisions import Assessed
from .config import SearchConfig
from .cost import Cost
from .early_stop import stop_reason
from .narrate import Narrator
from .node import Candidate, Measurement, Rollout, SearchNode
from .recorded import evaluation_from, evaluation_to
from .request import Expand, ExpandRequest, Judge, Record
from .schedule import dispatch, next_choice
from .selection import Selection, select
from .state import Finish, State
from .worker import Workers


@dataclass(frozen=True, slots=True)
class SearchResult:
    nodes: tuple[SearchNode, ...]
    finished: tuple[Finish, ...]
    """Committed rollouts, in logical order."""
    candidates: tuple[Candidate, ...]
    """Distinct patches, the best first."""
    selected: Candidate | None
    confidence: float | None
    verified: bool
    abstained: bool
    reasons: tuple[str, ...]
    """Why this patch, in plain words; the last one says why the search stopped."""
    stopped: str
    spent: Cost
    infrastructure: bool
    """The search ended because sandboxes or endpoints failed: not the model's doing."""


async def search(
    expand: Expand,
    config: SearchConfig,
    record: Record,
    *,
    progress: Callable[[State], None] | None = None,
    judge: Judge | None = None,
) -> SearchResult:
    """Search for a patch.

    `expand` makes one rollout; it may raise SandboxError or ModelError (retried, then an infrastructure
    failure), BudgetExceeded (a rollout cut by a limit), CredentialsError (ends the search at once) and
    whatever is a bug. What an earlier, interrupted search with the same seed left in `record` is taken from
    there: no finished rollout is made again. `progress` is called after each commit. `judge` measures the candidates once more before the choice, when there are several; that
    is what the held-back part of the budget is for. On cancellation all work in flight is cancelled and awaited before this returns.

    Raises: RecordError (another seed was recorded), CredentialsError, and bugs of the given functions.
    """
    state = State(config)
    narrator = Narrator(record, state)
    workers = Workers(expand, config, record)
    try:
        while True:
            while (choice := next_choice(state)) is not None:
                request = dispatch(state, choice)
                narrator.dispatched(request, choice)
                workers.start(request)
            if not state.in_flight:
                stopped = stop_reason(state) or "nothing is left to expand"
                break
            request = state.in_flight[0]
            narrator.committed(state.commit(request, await workers.result(request)))
            if progress:
                progress(state)
            if reason := stop_reason(state):
                stopped = reason
                break
    finally:
        await workers.cancel()
    narrator.stopped(stopped, [request.node for request in state.in_flight])
    candidates, note = await _judged(state, record, narrator, judge)
    selection = select(
        candidates,
        threshold=config.confidence_threshold,
        assumed_sd=config.critic_assumed_sd,
        trusted=config.critic_threshold,
    )
    if note:
        selection = replace(selection, reasons=(*selection.reasons, note))
    narrator.selected(selection)
    return _result(state, selection, stopped)


async def _judged(
    state: State, record: Record, narrator: Narrator, judge: Judge | None
) -> tuple[list[Candidate], str]:
    """The candidates as the last look sees them, and a remark where that look failed: a choice is still
    made then, from what was measured before."""
    candidates = list(state.candidates.values())
    if judge is None or sum(candidate.evaluation.sound for candidate in candidates) < 2:
        return candidates, ""
    keys = {candidate.node: f"final/{candidate.normalised_hash}" for candidate in candidates}
    if any(record.recall(Assessed, key) is None for key in keys.values()):
        try:
            found = await judge(candidates)
        except CredentialsError:
            raise
        except (SandboxError, ModelError, BudgetExceeded) as error:
            return candidates, f"the last look at the candidates failed: {error}"
        for candidate in candidates:
            seen = found.get(candidate.node, candidate.evaluation)
            record.append(Assessed(normalised_hash=keys[candidate.node], evaluation=evaluation_to(seen)))
    final = [replace(c, evaluation=_recalled(record, keys[c.node])) for c in candidates]
    for before, after in zip(candidates, final, strict=True):
        if before.evaluation != after.evaluation:
            narrator.measured(after.node, after.evaluation)
    return final, ""


def _recalled(record: Record, key: str) -> Measurement:
    known = record.recall(Assessed, key)
    assert known is not None
    return evaluation_from(known.evaluation)


def _result(state: State, selection: Selection, stopped: str) -> SearchResult:
    ranked = {candidate.node for candidate in selection.ranking}
    unsound = [candidate for candidate in state.candidates.values() if candidate.node not in ranked]
    return SearchResult(
        nodes=tuple(state.tree.nodes.values()),
        finished=tuple(state.finishes),
        candidates=(*selection.ranking, *unsound),
        selected=selection.chosen,
        confidence=selection.confidence,
        verified=selection.verified,
        abstained=selection.abstained,
        reasons=(*selection.reasons, f"stopped: {stopped}"),
        stopped=stopped,
        spent=state.spent,
        infrastructure=state.failures_in_a_row >= state.config.max_infrastructure,
    )


__all__ = ["ExpandRequest", "Measurement", "Rollout", "SearchResult", "search"]
