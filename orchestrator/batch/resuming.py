"""What a call of `batch` takes up again: the line that says so, and what `--redo` puts back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..benchmarks.instance import Instance
from .job import JobOutcome
from .state import BatchState


def resume_summary(state: BatchState, instances: Sequence[Instance]) -> str:
    """`resume: 312 done, 9 infrastructure errors re-queued, 4 continue at step k, 175 new`."""
    done, again, new = 0, 0, 0
    going: list[str] = []
    for instance in instances:
        progress = state.of(instance.id)
        if progress.finished:
            done += 1
        elif progress.running or (progress.outcome and progress.outcome.kind == "interrupted"):
            going.append(str(_steps(state.instance_directory(instance.id) / "events.jsonl")))
        elif progress.outcome is not None:
            again += 1
        else:
            new += 1
    if not (done or again or going):
        return f"{new} instances, output {state.directory}"
    steps = f" at step {', '.join(going[:8])}{', ...' if len(going) > 8 else ''}" if going else ""
    return f"resume: {done} done, {again} infrastructure errors re-queued, {len(going)} continue{steps}, {new} new"


def _steps(events: Path) -> int:
    try:
        with events.open("rb") as file:
            return sum(b'"type":"call"' in line for line in file)
    except OSError:
        return 0


def put_back(
    state: BatchState, instances: Sequence[Instance], wanted: Collection[str], verdicts: Mapping[str, bool]
) -> None:
    """Put back what `--redo` names; `verdicts`: instance id → resolved, where it was graded."""
    for instance in instances:
        outcome = state.of(instance.id).outcome
        if outcome is not None and _again(
            outcome, wanted, verdicts.get(instance.id), state.patch_of(instance.id)
        ):
            state.put_back(instance.id)


def _again(outcome: JobOutcome, wanted: Collection[str], verdict: bool | None, patch: str | None) -> bool:
    return (
        "all" in wanted
        or ("error" in wanted and outcome.kind in ("infrastructure", "fatal"))
        or ("limit" in wanted and outcome.reason == "limit")
        or ("empty" in wanted and outcome.kind == "finished" and not (patch or "").strip())
        or ("unresolved" in wanted and outcome.kind == "finished" and verdict is False)
    )
