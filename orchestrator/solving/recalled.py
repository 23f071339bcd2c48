"""What the stages of a run say to the log, and what they take back from it when the run is resumed."""

from __future__ import annotations

import platform
from dataclasses import asdict

from ... import __version__
from ...tools.testing.report import Baseline, Outcome
from ..record.events import BaselineMeasured, Evaluated, Reproduced, RunStarted
from ..request import SolveRequest
from .judges import Judgement
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
        unrelated=dict(shown.unrelated),
    )


def baseline_from(event: BaselineMeasured) -> Baseline:
    return Baseline(
        {test: Outcome(value) for test, value in event.tests.items()},
        frozenset(event.flaky),
        event.duration_s,
        event.runs,
        event.problem,
        tuple(event.lacking),
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
