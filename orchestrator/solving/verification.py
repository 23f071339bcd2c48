"""verify_patch: the verdict alone, with no model: what a patch fixes and breaks, on forks of a copy."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Collection
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
from ...tools.workspace import Workspace
from .base_knowledge import KnowledgeCache
from .check import Check, Verify
from .prepare import read_tests
from .run_directory import cache_root
from .suite import Suite

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
    """The verdict. `exit_code` 0: nothing that was run broke and every named test passes; else 4."""

    exit_code: int
    status: str
    verified: bool
    fixed: tuple[str, ...]
    """Named tests, and tests that the patch brings or changes, that fail without its other changes and pass with
    them; and others known to fail on the base."""
    broken: tuple[str, ...]
    still_failing: tuple[str, ...]
    failed_targets: tuple[str, ...]
    """Named tests that do not pass."""
    unknown: tuple[str, ...]
    """Failing tests that could not be asked of the base in time."""
    flaky: tuple[str, ...]
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
        raise UsageError("this is no unified diff: `git diff` makes one")
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
            return await _judge(suite, patch, request.tests, base, on_line)
    finally:
        await asyncio.shield(asyncio.to_thread(workspace.close))


async def _judge(
    suite: Suite, patch: Patch, named: Collection[str], base: str, on_line: Callable[[str], None]
) -> Verification:
    fork = await asyncio.to_thread(_patched, suite.base, patch)
    try:
        on_line("tests that the patch brings, without its other changes")
        red = await asyncio.to_thread(_red_without, suite, patch, named)
        on_line("tests near the change, with the patch")
        check = await suite.check(fork, patch, red | frozenset(named), final=True)
    finally:
        await asyncio.shield(asyncio.to_thread(fork.close))
    return _verdict(check, red, frozenset(named), suite, base)


def _patched(base: Workspace, patch: Patch) -> Workspace:
    fork = base.fork()
    try:
        fork.apply(patch)
    except BaseException:
        fork.close()
        raise
    return fork


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


def _verdict(
    check: Check, red: frozenset[str], named: frozenset[str], suite: Suite, base: str
) -> Verification:
    comparison = check.comparison
    fixed = (red & check.passed_targets) | comparison.fixed
    failed = frozenset(test for test in check.failed_targets if test in named)
    still = (comparison.still_failing | (red - check.passed_targets)) - fixed - comparison.broken
    broken = comparison.broken
    ran = check.evidence.tests_run + len(check.passed_targets)
    ok = not broken and not failed and not check.unknown and ran > 0

    def listed(tests: frozenset[str]) -> tuple[str, ...]:
        return tuple(sorted(tests)[:LONGEST_LIST])

    return Verification(
        0 if ok else 4,
        _status(ok, len(fixed), len(broken), len(failed), len(check.unknown), check, ran),
        ok,
        fixed=listed(fixed),
        broken=listed(broken),
        still_failing=listed(still),
        failed_targets=listed(failed),
        unknown=listed(check.unknown),
        flaky=tuple(sorted(suite.baseline.flaky)),
        scope=check.evidence.words(),
        tests_run=ran,
        base_commit=base,
    )


def _status(ok: bool, fixed: int, broken: int, failed: int, unknown: int, check: Check, ran: int) -> str:
    if not ran:
        return "not verified: no test that can reach the change could be run; name one with --test"
    parts = [f"{fixed} fixed", f"{broken} broken"]
    parts += [f"{failed} named tests do not pass"] if failed else []
    parts += [f"{unknown} failing that could not be compared with the base"] if unknown else []
    return f"{'passes' if ok else 'not verified'}: {', '.join(parts)}; run: {check.evidence.words()}"
