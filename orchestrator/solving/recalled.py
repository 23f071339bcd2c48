"""What the stages of a run say to the log, and what they take back from it when the run is resumed."""

from __future__ import annotations

import platform
from dataclasses import asdict

from ... import __version__
from ...tools.testing.report import Baseline, Outcome
from ..record.decisions import Evaluated
from ..record.events import BaselineMeasured, CheckPlanned, Reproduced, RunStarted
from ..record.recorder import Recorder
from ..request import SolveRequest
from .judges import Judgement
from .plan import CheckPlan
from .relevance import Belonging
from .reproduce import Reproduction
from .suite import Suite


def baseline_event(suite: Suite, shown: Belonging) -> BaselineMeasured:
    baseline = suite.baseline
    return BaselineMeasured(
        tests={test: str(outcome) for test, outcome in baseline.outcomes.items()},
        flaky=sorted(baseline.flaky),
        duration_s=baseline.duration_s,
        runs=baseline.runs,
        whole=suite.whole,
        problem=baseline.problem,
        lacking=list(baseline.lacking),
        files=sorted(suite.commit.known.files),
        durations={file: round(seconds, 3) for file, seconds in suite.commit.durations.known.items()},
        unrelated=dict(shown.unrelated),
        within={path: [list(span) for span in spans] for path, spans in shown.within.items()},
    )


def belonging_from(event: BaselineMeasured) -> Belonging:
    failing = baseline_from(event).failing
    within = {path: [(first, last) for first, last in spans] for path, spans in event.within.items()}
    return Belonging(failing - event.unrelated.keys(), {}, event.unrelated, within)


def baseline_from(event: BaselineMeasured) -> Baseline:
    return Baseline(
        {test: Outcome(value) for test, value in event.tests.items()},
        frozenset(event.flaky),
        event.duration_s,
        event.runs,
        event.problem,
        tuple(event.lacking),
    )


class RecordedPlans:
    """Plans of checks, in the log the moment they are made: see `plan.Plans`."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def recall(self, check: str) -> CheckPlan | None:
        known = self._recorder.recall(CheckPlanned, check)
        if known is None:
            return None
        return CheckPlan(known.whole, tuple(tuple(part) for part in known.parts), known.budget_s)

    def keep(self, check: str, plan: CheckPlan) -> None:
        self._recorder.append(
            CheckPlanned(check=check, whole=plan.whole, parts=plan.parts, budget_s=plan.budget_s)
        )


def reproduction_event(found: Reproduction) -> Reproduced:
    return Reproduced(
        targets=sorted(found.targets),
        files=dict(found.files),
        generated=sorted(found.generated),
        summary=found.summary,
        refused=list(found.refused),
        weights=dict(found.weights),
    )


def reproduction_from(event: Reproduced) -> Reproduction:
    return Reproduction(
        frozenset(event.targets),
        event.files,
        frozenset(event.generated),
        event.summary,
        tuple(event.refused),
        event.weights,
    )


def verdict_event(judged: Judgement) -> Evaluated:
    """The final check of the selected patch, on a clean base."""
    check = judged.check
    report = check.report
    return Evaluated(
        node="",
        kind="regression",
        tests={test: str(r.outcome) for test, r in report.results.items()} if report else {},
        f2p=[len(check.passed_targets), len(check.targets)] if check.targets else None,
        p2p=[passing := len(check.comparison.unchanged_passing), passing + len(check.comparison.broken)],
        run=check.evidence.to_json(),
        tampering=judged.marks,
        special_cases=judged.special_cases,
        held_back=judged.held_back,
        wall_s=round(report.duration_s, 3) if report else None,
        valid=True,
        by=None,
    )


def started_event(request: SolveRequest, run_id: str, base: str, *, is_llm: bool) -> RunStarted:
    """The first event of a run."""
    config = {key: value for key, value in request.to_json().items() if key not in ("issue", "repository")}
    return RunStarted(
        schema="swe-trajectory/1",
        run_id=run_id,
        issue=asdict(request.issue),
        repository=request.issue.repository or request.repository.name,
        base_commit=base,
        config=config,
        versions={"swe_agent": __version__, "python": platform.python_version()},
        seed=request.seed,
        is_llm=is_llm,
    )
