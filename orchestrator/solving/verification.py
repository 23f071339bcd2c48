"""verify_patch: the verdict alone, with no model: what a patch fixes and breaks, on forks of a copy."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...tools.errors import PatchError, UsageError
from ...tools.git import execute
from ...tools.history import prepare_repository
from ...tools.patch import Patch
from ...tools.project.opening import Opening, open_workspace
from ...tools.testing.runner import TestRunner
from ...tools.testing.test_files import is_test_file
from .base_knowledge import KnowledgeCache
from .check import Verify
from .judges import Judgement, judge
from .prepare import read_tests
from .run_directory import cache_root
from .suite import Suite
from .test_names import file_of

LONGEST_LIST = 200


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What is judged and how."""

    repository: Path
    """Local checkout or clone; it is read, never written."""
    patch: str
    base: str | None = None
    tests: tuple[str, ...] = ()
    """Tests that must pass with the patch."""
    verify: str = "auto"
    sandbox: str = "auto"
    image: str | None = None
    python: str | None = None
    setup: str | None = None
    test_cmd: str | None = None
    network: bool = False


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict, by the base's own tests and configuration. `exit_code` 0: nothing that was run broke, every named
    test passes and nothing reaches for the judge; else 4."""

    exit_code: int
    status: str
    verified: bool
    fixed: tuple[str, ...]
    """Named tests, and tests that the patch brings or changes, that fail without its other changes and pass with
    them; and others known to fail on the base."""
    broken: tuple[str, ...]
    contradicted: tuple[str, ...]
    """Tests of the base that the patch breaks as they were, and that pass as the patch changes them."""
    still_failing: tuple[str, ...]
    failed_targets: tuple[str, ...]
    """Named tests that do not pass."""
    unknown: tuple[str, ...]
    """Failing tests that could not be asked of the base in time."""
    flaky: tuple[str, ...]
    marks: tuple[str, ...]
    """Signs that the patch reaches for its judge."""
    special_cases: tuple[str, ...]
    """What it answers to the very values of the named tests, as they expect it."""
    scope: str
    """What was run of what can reach the change."""
    tests_run: int
    base_commit: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def verify_patch(
    request: VerifyRequest, on_line: Callable[[str], None] = lambda line: None
) -> Verification:
    """Judge a patch. Raises: UsageError for an empty one; PatchError when it does not apply; RepositoryError,
    ProjectError, SandboxError."""
    patch = Patch(request.patch if request.patch.endswith("\n") else request.patch + "\n")
    if not patch.text.strip():
        raise UsageError("the patch is empty: there is nothing to verify")
    if not patch.files:
        raise UsageError("the patch is no unified diff: `git diff` makes one")
    work = Path(tempfile.mkdtemp(prefix="swe-agent-verify-"))
    try:
        return await _verify(request, patch, work, on_line)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, work, ignore_errors=True))


async def _verify(
    request: VerifyRequest, patch: Patch, work: Path, on_line: Callable[[str], None]
) -> Verification:
    base = await asyncio.to_thread(prepare_repository, request.repository, request.base, work / "repository")
    fits = await asyncio.to_thread(execute, work / "repository", "apply", "--check", "-", stdin=patch.text)
    if not fits.ok:
        raise PatchError(f"the patch does not apply on {base[:12]}: {fits.reason}")
    (work / "scratch").mkdir()
    opening = Opening(
        work / "repository", base, work / "scratch", cache_root(), sandbox=request.sandbox, image=request.image,
        python=request.python, setup=request.setup, test_cmd=request.test_cmd, network=request.network,
        label="verify",
    )  # fmt: skip
    workspace, project = await asyncio.to_thread(open_workspace, opening, on_line)
    try:
        impact = await asyncio.to_thread(read_tests, work / "repository", base, cache_root())
        with TestRunner(project) as runner:
            cache = KnowledgeCache(cache_root() / "base", base, project)
            suite = Suite(runner, workspace, impact, verify=Verify.of(request.verify), cache=cache)
            command = project.test_command.command
            return await verify_with(suite, patch, request.tests, command=command, on_line=on_line)
    finally:
        await asyncio.shield(asyncio.to_thread(workspace.close))


async def verify_with(
    suite: Suite,
    patch: Patch,
    named: Collection[str] = (),
    *,
    command: str = "",
    on_line: Callable[[str], None] = lambda line: None,
) -> Verification:
    """The verdict by an open suite; `command` is how it runs the tests. Raises: PatchError, SandboxError."""
    on_line("tests that the patch brings, without its other changes")
    red = await asyncio.to_thread(_red_without, suite, patch, named)
    own = frozenset(part.path for part in patch.parsed if is_test_file(part.path))
    on_line("tests near the change, with the patch and the base's own tests")
    targets = frozenset(test for test in (red | frozenset(named)) if file_of(test) not in own)
    apart = [test for test in named if file_of(test) in own]
    judged = await judge(suite, patch, {}, targets, command, apart)
    passing = frozenset(judged.own.passing) if judged.own else frozenset[str]()
    return _verdict(judged, _Asked(red, frozenset(named), own, passing), suite)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the verdict is about: tests that fail without the patch's other changes, named tests, test files that
    the patch changes, and what passes of those on the whole patch."""

    red: frozenset[str]
    named: frozenset[str]
    own: frozenset[str]
    passing: frozenset[str]

    def not_passing(self) -> frozenset[str]:
        """Named tests of the changed files of which nothing passes."""
        mine = (test for test in self.named if file_of(test) in self.own)
        shown = {*self.passing, *map(file_of, self.passing)}
        return frozenset(test for test in mine if test not in shown)


def _red_without(suite: Suite, patch: Patch, named: Collection[str]) -> frozenset[str]:
    """Tests that fail on the base with only the patch's test files: the named ones, and those in files that the
    patch brings or changes."""
    tests = [str(part) for part in patch.parsed if is_test_file(part.path)]
    files = [part.path for part in patch.parsed if is_test_file(part.path) and not part.is_removed_file]
    asked = sorted({*named, *(file for file in files if _collected(file))})
    if not asked:
        return frozenset()
    with suite.base.fork() as fork:
        if tests:
            fork.apply(Patch("".join(tests)))
        report = suite.runner.run(fork, asked, timeout=suite.verify.final_s, cold=True)
    return frozenset(test for test, result in report.results.items() if result.outcome.bad)


def _collected(file: str) -> bool:
    name = file.rpartition("/")[2]
    return name.endswith(".py") and name not in ("conftest.py", "__init__.py")


def _verdict(judged: Judgement, asked: _Asked, suite: Suite) -> Verification:
    check = judged.check
    comparison = check.comparison
    passed = check.passed_targets | asked.passing
    fixed = (asked.red & passed) | comparison.fixed
    failed = (check.failed_targets & asked.named) | asked.not_passing()
    contradicted = judged.contradicted
    broken = comparison.broken - contradicted
    still = (comparison.still_failing | (asked.red - passed)) - fixed - comparison.broken
    ran = check.evidence.tests_run + len(check.passed_targets) + len(asked.passing)
    ok = not (comparison.broken or failed or check.unknown or judged.marks) and ran > 0
    counts = {
        "fixed": len(fixed),
        "broken": len(broken),
        "existing tests contradict the patch, which changes them: look at them": len(contradicted),
        "named tests do not pass": len(failed),
        "failing that could not be compared with the base": len(check.unknown),
    }

    def listed(tests: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted(tests)[:LONGEST_LIST])

    return Verification(
        0 if ok else 4,
        _status(ok, counts, judged, ran),
        ok,
        fixed=listed(fixed),
        broken=listed(broken),
        contradicted=listed(contradicted),
        still_failing=listed(still),
        failed_targets=listed(failed),
        unknown=listed(check.unknown),
        flaky=tuple(sorted(suite.baseline.flaky)),
        marks=judged.marks,
        special_cases=judged.special_cases,
        scope=check.evidence.words(),
        tests_run=ran,
        base_commit=suite.base.base_commit,
    )


def _status(ok: bool, counts: Mapping[str, int], judged: Judgement, ran: int) -> str:
    if not ran:
        return "not verified: no test that can reach the change could be run; name one with --test"
    parts = [f"{count} {what}" for what, count in counts.items() if count or what in ("fixed", "broken")]
    parts += [f"it reaches for its judge ({mark})" for mark in judged.marks[:3]]
    return f"{'passes' if ok else 'not verified'}: {', '.join(parts)}; run: {judged.check.evidence.words()}"
