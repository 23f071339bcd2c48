"""solve: the one way through. Issue → workspace → baseline → reproduction → search → verdict → patch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ... import __version__
from ...agents.budget import Budget
from ...agents.models.factory import check_model
from ...tools.errors import BudgetExceeded, SweAgentError
from ...tools.patch import Patch
from ...tools.project.names import package_names
from ...tools.secrets import Masker, host_secrets
from ...tools.testing.impact.ranking import Impact
from ...tools.testing.runner import TestRunner
from ..record.events import BaselineMeasured, Cleaned, Concluded, Reproduced, Resumed, RunFinished
from ..record.journal import Journal
from ..record.log import EventLog, read_events
from ..record.recorder import Listener, Recorder
from ..request import SolveRequest, SolveResult
from ..settings import OFFLINE
from ..verifiers.opening import check_verifier
from .base_commit import CAP_S, LOOK_S
from .base_knowledge import KnowledgeCache
from .check import Verify
from .executed import shown_by
from .feedback import Feedback
from .instructions import tell_instructions
from .judges import Judgement, judge
from .outcome import Found, conclude, no_test
from .oversight import cautions, oversee
from .prepare import Prepared, copy_repository, prepare, read_tests
from .quality import measure_candidates
from .recalled import (
    RecordedPlans,
    baseline_event,
    baseline_from,
    belonging_from,
    reproduction_event,
    reproduction_from,
    started_event,
    verdict_event,
)
from .relevance import Belonging
from .reproduce import Reproduction, reproduce
from .rollout import Attempt, Stage
from .run_directory import RunDirectory, cache_root
from .strategy import choose
from .suite import Suite
from .team import Team
from .views import write_views


async def solve(
    request: SolveRequest,
    run: RunDirectory,
    *,
    listener: Listener | None = None,
    journal: Journal | None = None,
) -> SolveResult:
    """Solve one issue in `run` (fresh, or interrupted: then it goes on where it stopped). With a replaying
    `journal` no model is reached.

    Raises: CredentialsError and UsageError before anything is spent; ProjectError, SandboxError,
    ModelError when a boundary fails (what was reached stays in the run directory and the run can be
    resumed); asyncio.CancelledError when interrupted.
    """
    if journal is None:
        for model in sorted(request.models()):
            check_model(model, request.options)
        await asyncio.to_thread(check_verifier, request.verifier)
        journal = Journal(read_events(run.events) if run.events.exists() else ())
    return await _Run(request, run, journal, listener).go()


class _Run:
    """The stages of one run, in order, and what must be cleaned up after them."""

    def __init__(
        self, request: SolveRequest, run: RunDirectory, journal: Journal, listener: Listener | None
    ) -> None:
        self._request = request
        self._run = run
        self._journal = journal
        self._log = EventLog(run.events)
        self._masker = masker = Masker(host_secrets())
        self._recorder = Recorder(self._log, journal, mask=masker.mask_json, listener=listener)
        self._mask: Callable[[str], str] = masker.mask
        self._say = listener or (lambda type, fields: None)
        self._budget = Budget(request.limits)
        if journal.events:
            self._budget.resume(journal.elapsed_s)
            self._recorder.append(Resumed(version=__version__))
        self._shown = Belonging()
        self._best_rank: tuple[Any, ...] | None = None
        self._removed = {event.patch: tuple(event.removed) for event in journal.all(Cleaned)}

    async def go(self) -> SolveResult:
        prepared: Prepared | None = None
        base = ""
        self._summary("running", None)
        try:
            base = await asyncio.to_thread(copy_repository, self._request, self._run)
            self._started(base)
            reading = asyncio.create_task(
                asyncio.to_thread(read_tests, self._run.repository, base, cache_root())
            )
            prepared = await asyncio.to_thread(
                prepare, self._request, self._run, base, self._recorder, self._progress, self._left_s
            )
            result = self._overseen(await self._solve(prepared, await reading))
            self._finish(result)
            return result
        except BudgetExceeded as error:
            result = self._conclude(base, Found(limit=True, raise_what=str(error)))
            self._finish(result)
            return result
        except asyncio.CancelledError:
            self._summary("interrupted", None)
            raise
        except SweAgentError as error:
            self._recorder.append(
                Concluded(
                    exit_code=None,
                    status="error",
                    error=type(error).__name__,
                    why=str(error),
                    verified=False,
                    tests=None,
                )
            )
            self._summary(f"{type(error).__name__}: {error}", None)
            raise
        finally:
            if prepared is not None:
                await asyncio.shield(asyncio.to_thread(prepared.workspace.close))
            self._log.close()

    async def _solve(self, prepared: Prepared, impact: Impact | None) -> SolveResult:
        request = self._request
        runner = TestRunner(prepared.project, log_dir=self._run.logs, bytecode=self._run.bytecode)
        runner.on_progress = getattr(self._say, "on_tests", None)  # of a listener with a place to show it
        suite = Suite(
            runner,
            prepared.workspace,
            impact,
            issue=f"{request.issue.text}\n\n{request.issue.discussion}",
            verify=Verify.of(request.verify),
            cache=KnowledgeCache(cache_root() / "base", prepared.base_commit, prepared.project),
            plans=RecordedPlans(self._recorder),
            left_s=self._left_s,
        )
        try:
            await self._baseline(suite)
        except BudgetExceeded as error:
            await asyncio.to_thread(runner.close)
            return self._conclude(prepared.base_commit, Found(limit=True, raise_what=str(error)))
        told = tell_instructions(
            self._run.repository, prepared.base_commit, request.issue.text, self._recorder
        )
        team = Team(
            request,
            prepared.project,
            Feedback(suite),
            self._recorder,
            self._journal,
            self._budget,
            logs=self._run.logs,
            mask=self._mask,
            instructions=told,
            shown=self._shown,
        )
        try:
            return await self._search(prepared, suite, team)
        finally:
            await asyncio.shield(asyncio.to_thread(suite.commit.save))
            await asyncio.shield(team.close())
            await asyncio.shield(asyncio.to_thread(runner.close))

    async def _search(self, prepared: Prepared, suite: Suite, team: Team) -> SolveResult:
        request = self._request
        shown = self._shown
        why = no_test(suite.baseline, shown.unrelated, whole=suite.whole)
        if self._only_offline() and not shown.tests:
            return self._conclude(prepared.base_commit, Found(why=why, unrelated=shown.unrelated))
        reproduction = await self._reproduction(team, suite)
        if self._only_offline() and not reproduction.targets:
            return self._conclude(prepared.base_commit, Found(why=why, unrelated=shown.unrelated))
        base = await asyncio.to_thread(prepared.workspace.fork)
        try:
            for path, text in reproduction.files.items():
                await asyncio.to_thread(base.write_text, path, text)
            stage = Stage(team, suite, request.issue, reproduction, base, shown, self._step)
            choice = await choose(stage, request, self._recorder, self._journal)
            judged = await self._verdict(stage, prepared, choice.patch)
            await measure_candidates(stage, choice.candidates, judged, self._recorder)
        finally:
            await asyncio.shield(asyncio.to_thread(base.close))
        found = Found(
            choice.patch,
            judged,
            choice.limit,
            choice.why,
            choice.confidence,
            choice.reasons,
            abstained=choice.abstained,
            targets=reproduction.targets,
            flaky=suite.baseline.flaky,
            unrelated=shown.unrelated,
        )
        return self._conclude(prepared.base_commit, found)

    def _conclude(self, base: str, found: Found) -> SolveResult:
        return conclude(
            base, found, run=self._run.path, totals=self._recorder.totals.spent(self._budget.wall_s)
        )

    def _left_s(self, final: bool = False) -> float | None:
        """Seconds of wall time that the run still has; its final check has some more."""
        left, limit = self._budget.room().wall_s, self._request.limits.wall_s
        if left is None or limit is None or not final:
            return left
        return max(left, Verify.of(self._request.verify).grace_s(limit))

    def _only_offline(self) -> bool:
        return self._request.models() == {OFFLINE}

    def _started(self, base: str) -> None:
        self._recorder.append(
            started_event(self._request, self._run.path.name, base, is_llm=not self._only_offline())
        )

    async def _baseline(self, suite: Suite) -> None:
        """What is known of the base commit before anyone edits; a resumed run takes over what was measured.
        Raises: BudgetExceeded."""
        known = self._recorder.recall(BaselineMeasured)
        if known is not None:
            suite.commit.adopt(
                baseline_from(known), whole=known.whole, files=known.files, durations=known.durations
            )
            self._shown = belonging_from(known)
        else:
            self._say("progress", {"line": "tests on the base commit"})
            room = self._budget.room().wall_s
            alone = self._only_offline()
            longest_s = CAP_S if alone else LOOK_S
            await suite.commit.look(whole=suite.verify.whole, left_s=room, longest_s=longest_s)
            if alone:
                await suite.commit.find_failing(
                    lambda: bool(suite.commit.belonging().tests),
                    self._progress,
                    left_s=self._budget.room().wall_s,
                )
            self._budget.check()  # what the time limit cut short is no baseline to work from
            self._shown = await asyncio.to_thread(shown_by, suite.commit, self._progress if alone else None)
        self._recorder.append(baseline_event(suite, self._shown))
        if not self._only_offline():
            await asyncio.to_thread(suite.commit.run_ahead)

    async def _reproduction(self, team: Team, suite: Suite) -> Reproduction:
        if (known := self._recorder.recall(Reproduced)) is not None:
            return reproduction_from(known)
        given = frozenset[str]()
        if self._request.roles != "team":
            given = await suite.commit.ask_again(self._shown.tests, soon=not self._only_offline())
        if given or self._request.roles == "single":
            found = Reproduction(given)
        else:
            # More samples only when there are candidates to choose between: see strategy.judge.
            found = await reproduce(team, suite, self._request.issue, self._shown)
        self._recorder.append(reproduction_event(found))
        return found

    def _step(self, attempt: Attempt) -> None:
        """The best patch so far goes to disk at once: an interrupted run keeps it."""
        assert attempt.check is not None
        removed = [f"{item.path}: {item.reason}" for item in attempt.removed]
        self._recorder.append(Cleaned(node=attempt.node, patch=attempt.patch.sha256, removed=removed))
        self._removed[attempt.patch.sha256] = tuple(removed)
        self._run.replace(f"candidates/{attempt.node}.diff", attempt.patch.text)
        self._say(
            "candidate",
            {
                "node": attempt.node,
                "summary": attempt.check.summary(),
                "green": attempt.check.green,
            },
        )
        if self._best_rank is None or attempt.rank() > self._best_rank:
            self._best_rank = attempt.rank()
            self._run.replace("patch.diff", attempt.patch.text)

    async def _verdict(self, stage: Stage, prepared: Prepared, patch: Patch) -> Judgement | None:
        """The final word: the patch alone on a clean base under the base's own tests, cold, and as much of the
        suite as `verify` buys."""
        if patch.is_empty:
            return None
        self._say("progress", {"line": "final check"})
        kept, command = stage.reproduction, prepared.project.test_command.command
        judged = await judge(stage.suite, patch, kept.files, kept.targets, command)
        self._recorder.append(verdict_event(judged))
        return judged

    def _overseen(self, result: SolveResult) -> SolveResult:
        name = (self._request.issue.repository or str(self._request.repository)).rstrip("/")
        package = name.rpartition("/")[2].removesuffix(".git")
        packages = package_names(self._run.repository, package)
        leaks = oversee(read_events(self._run.events), self._recorder, packages)
        removed = self._removed.get(Patch(result.patch).sha256, ())
        return replace(result, leaks=leaks, removed=removed)

    def _finish(self, result: SolveResult) -> None:
        self._recorder.append(
            Concluded(
                exit_code=result.exit_code,
                status=result.status,
                verified=result.verified,
                tests={
                    "fixed": list(result.fixed),
                    "broken": list(result.broken),
                    "contradicted": list(result.contradicted),
                    "changed": list(result.changed_tests),
                    "still_failing": list(result.still_failing),
                    "flaky": list(result.flaky),
                },
            )
        )
        self._recorder.append(RunFinished(totals=dict(result.totals)))
        for line in cautions(result.patch, self._mask):
            self._say("warning", {"line": line})
        self._run.replace("patch.diff", result.patch)
        self._summary(result.status, result)
        self._run.clear_work()
        write_views(self._run, lambda line: self._say("warning", {"line": line}))

    def _progress(self, line: str) -> None:
        self._say("progress", {"line": line})

    def _summary(self, status: str, result: SolveResult | None) -> None:
        summary = {
            "run": self._run.path.name,
            "status": status,
            "finished": result is not None,
            "request": self._request.to_json(),
            "result": result.to_json() if result else None,
        }
        self._run.write(self._masker.mask_json(summary))
