"""Quality: what the reward asks of candidates beyond tests: new lint findings, and coverage of the changed files.

Measured once the patch is chosen, for every distinct candidate, so that candidates of one run are rewarded by the same
components. No choice and no verdict depends on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...tools.errors import PatchError, SandboxError
from ...tools.lint import new_findings, ruff
from ...tools.patch import Patch
from ...tools.testing.line_coverage import line_coverage
from ...tools.testing.report import TestReport
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace
from ..record.decisions import Evaluated
from ..record.recorder import Recorder
from .judges import Judgement, is_judge, seat
from .rollout import Stage
from .test_names import file_of

COVERAGE_S = 20.0
"""Coverage is measured by the nearest test files that took so long together when they were last run."""
TRACED_S = 120.0
"""Longest one traced run may take."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured, of `--measure`."""

    lint: bool = True
    coverage: bool = False

    @classmethod
    def of(cls, text: str) -> Measure:
        """`auto` is lint; without ruff, which comes with the package, nothing."""
        return cls(text in ("auto", "lint", "all") and ruff() is not None, text in ("coverage", "all"))


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one candidate; None was not measured."""

    findings: int | None = None
    coverage_before: float | None = None
    coverage_after: float | None = None
    lint_s: float = 0.0
    coverage_s: float = 0.0

    @property
    def coverage_change(self) -> float | None:
        if self.coverage_before is None or self.coverage_after is None:
            return None
        return round(self.coverage_after, 6) - round(self.coverage_before, 6)

    def events(self, node: str) -> Iterable[Evaluated]:
        """For the record."""
        if self.findings is not None:
            yield _event(node, "lint", 0, self.findings, self.lint_s)
        if self.coverage_before is not None and self.coverage_after is not None:
            yield _event(node, "coverage", self.coverage_before, self.coverage_after, self.coverage_s)

    def words(self) -> str:
        """One phrase for the screen."""
        said = [] if self.findings is None else [f"{self.findings} new lint findings"]
        if self.coverage_before is not None and self.coverage_after is not None:
            said.append(
                f"coverage of the changed files {self.coverage_before:.0%} before, {self.coverage_after:.0%} after"
            )
        return ", ".join(said)


def _event(node: str, kind: str, before: float, after: float, wall_s: float) -> Evaluated:
    return Evaluated(
        node=node,
        kind=kind,
        tests={},
        f2p=None,
        p2p=None,
        before=round(before, 6),
        after=round(after, 6),
        wall_s=round(wall_s, 3),
        valid=True,
        by=None,
    )


class Gauge:
    """Measures candidates of one base commit."""

    def __init__(self, runner: TestRunner, base: Workspace, measure: Measure) -> None:
        """`base` is on the base commit, with the tests that the run wrote in place."""
        self._runner = runner
        self._base = base
        self._measure = measure
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], float | None] = {}
        """Changed files and test files → coverage on the base."""

    def quality(
        self, patch: Patch, reproduction: Mapping[str, str], command: str, tests: Sequence[str]
    ) -> Quality:
        """Of a candidate, under the base's own tests; coverage by those of `tests` (files) that the base has.
        Blocking. Raises: SandboxError, PatchError."""
        apart = [path for path in patch.files if path in reproduction or is_judge(self._base, path, command)]
        started = time.perf_counter()
        if patch.after and not self._measure.coverage:  # its texts are known: no tree is needed
            findings = new_findings(_without(patch, apart)) if self._measure.lint else None
            return Quality(findings, lint_s=time.perf_counter() - started)
        with self._base.fork() as fork:
            seat(fork, self._base, patch, reproduction, command=command)
            change = _without(fork.diff(), apart)
            findings = new_findings(change) if self._measure.lint else None
            linted = time.perf_counter()
            shares = self._coverage(fork, change, tests) if self._measure.coverage else (None, None)
            return Quality(findings, *shares, linted - started, time.perf_counter() - linted)

    def _coverage(
        self, candidate: Workspace, change: Patch, tests: Sequence[str]
    ) -> tuple[float | None, float | None]:
        before, after = _python(change.before), _python(change.after)
        there = tuple(file for file in tests if _is_there(self._base, file))
        if not before or not there:
            return None, None
        key = tuple(sorted(before)), there
        if key not in self._known:
            self._known[key] = self._share(self._base, before, there)
        known = self._known[key]
        return (None, None) if known is None else (known, self._share(candidate, after, there))

    def _share(self, workspace: Workspace, texts: Mapping[str, str], tests: Sequence[str]) -> float | None:
        return line_coverage(self._runner, workspace, texts, tests, timeout=TRACED_S)


def nearest_files(report: TestReport | None, first: Sequence[str], targets: Collection[str]) -> list[str]:
    """Test files by which coverage is measured: those of the targets, then `first`, then the others that ran, as long
    as they took `COVERAGE_S` together."""
    spent: dict[str, float] = {}
    for test, result in (report.results if report is not None else {}).items():
        spent[file_of(test)] = spent.get(file_of(test), 0.0) + (result.duration_s or 0.0)
    order = dict.fromkeys([*sorted(map(file_of, targets)), *first, *sorted(spent)])
    chosen: list[str] = []
    left = COVERAGE_S
    for file in order:
        if file in spent and spent[file] <= left:
            chosen.append(file)
            left -= spent[file]
    return chosen


async def measure_candidates(
    stage: Stage, candidates: Mapping[str, Patch], judged: Judgement | None, recorder: Recorder
) -> None:
    """Measure what `--measure` names of each candidate (node to patch), into the record, and say of the first, which
    is the chosen one, what came of it and what it cost. What fails is not measured, and ends nothing.
    Raises: asyncio.CancelledError."""
    measure = Measure.of(stage.team.request.measure)
    if candidates and stage.team.request.measure == "auto" and ruff() is None:
        recorder.tell("lint is not measured: ruff is missing (pip install ruff, or --measure none)")
    if not candidates or measure == Measure(False, False):
        return
    check, kept = judged.check if judged else None, stage.reproduction
    tests = nearest_files(check.report, check.evidence.files_run, kept.targets) if check else []
    command = stage.team.project.test_command.command
    gauge = Gauge(stage.suite.runner, stage.base, measure)
    started, words = time.perf_counter(), ""
    for number, (node, patch) in enumerate(candidates.items()):
        if stage.suite.room(final=True) <= 1.0:
            break
        try:
            found = await asyncio.to_thread(gauge.quality, patch, kept.files, command, tests)
        except (SandboxError, PatchError):
            continue
        for event in found.events(node):
            recorder.append(event)
        words = words if number else found.words()
    if words:
        recorder.tell(f"{words} (measured in {time.perf_counter() - started:.1f} s)")


def _without(patch: Patch, paths: Collection[str]) -> Patch:
    """The patch with the texts of its other files alone."""
    return Patch(
        patch.text,
        {path: text for path, text in patch.after.items() if path not in paths},
        {path: text for path, text in patch.before.items() if path not in paths},
    )


def _is_there(workspace: Workspace, path: str) -> bool:
    try:
        workspace.sandbox.read_bytes(path)
    except OSError:
        return False
    return True


def _python(texts: Mapping[str, str | None]) -> dict[str, str]:
    return {path: text for path, text in texts.items() if text is not None and path.endswith(".py")}
