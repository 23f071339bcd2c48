"""judges: the means by which a patch is judged are the base's own, never the patch's.

For the verdict the base's tests, helpers, conftest files and test configuration stand beside the patched
product; what the patch changes of them is held back, run apart and reported apart.
"""

from __future__ import annotations

import asyncio
import fnmatch
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...tools.patch import Patch
from ...tools.testing.examples import bent_examples, is_example
from ...tools.testing.impact.test_source import test_source
from ...tools.testing.report import TestReport
from ...tools.testing.runner import TestRunner
from ...tools.testing.special_cases import special_cases
from ...tools.testing.tampering import tampering
from ...tools.testing.test_files import is_test_file
from ...tools.workspace import Workspace
from .check import Check
from .marks import against, doubts
from .suite import Suite
from .test_names import file_of

_CONFIGURATION = frozenset(
    {
        *(
            "pytest.ini",
            ".pytest.ini",
            "pytest.toml",
            ".pytest.toml",
            "tox.ini",
            "setup.cfg",
            "pyproject.toml",
        ),
        *("conftest.py", "noxfile.py", ".coveragerc", "sitecustomize.py", "usercustomize.py"),
        *("jest.config.*", "vitest.config.*", ".mocharc.*", "karma.conf.js", "phpunit.xml", ".rspec"),
    }
)
_NAMED = (
    "test_*.py",
    "*_test.py",
    "tests.py",
    "conftest.py",
    "*.test.*",
    "*.spec.*",
    "*_test.go",
    "*_spec.rb",
)
_RUNS = {
    "make": ("Makefile", "makefile", "GNUmakefile"),
    "just": ("justfile", "Justfile"),
    "rake": ("Rakefile",),
    **dict.fromkeys(("npm", "yarn", "pnpm", "bun", "npx"), ("package.json",)),
}
"""Programs that run tests as a file says."""
_FOLDERS = frozenset({"test", "tests", "spec", "specs", "__tests__"})


@dataclass(frozen=True, slots=True)
class Bench:
    """What a fork for the verdict holds. `held_back` are the patch's changes to the means of judging,
    `signs` what its product reaches for that is its judge's."""

    held_back: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    special_cases: tuple[str, ...] = ()
    """What it answers to the very values of the targets, as they expect it."""

    @property
    def own_tests(self) -> tuple[str, ...]:
        """Tests that the patch brings or changes."""
        return tuple(path for path in self.held_back if _is_named(path, _NAMED[:3]))


def _is_named(path: str, patterns: Collection[str]) -> bool:
    name = PurePosixPath(path).name
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def is_judge(base: Workspace, path: str, command: str) -> bool:
    """Whether a file decides how the product is judged: tests and what lies among them, test configuration,
    and scripts that the test command names. A folder `testing` or `test` without tests in it is product."""
    if _is_named(path, (*_CONFIGURATION, *_NAMED)):
        return True
    words = {word.strip("'\"").removeprefix("./") for word in command.split()}
    runs = {name for program, names in _RUNS.items() if program in words for name in names}
    if path in words | runs or any(path in _said(base, name) for name in runs):
        return True
    folders = list(PurePosixPath(path).parents)[:-1]
    return is_test_file(path) and any(_has_tests(base, folder) for folder in folders)


def _said(base: Workspace, path: str) -> frozenset[str]:
    """Words of a file of the base that may be paths."""
    text = _text(base, path) or ""
    return frozenset(word.removeprefix("./") for word in re.split(r"[\s\"'=:;,()]+", text))


def _has_tests(base: Workspace, folder: PurePosixPath) -> bool:
    """Whether the base keeps tests below a folder that is named for them (`testing`: right in it)."""
    if folder.name not in _FOLDERS | {"testing"}:
        return False
    below = ["-r"] if folder.name in _FOLDERS else []
    listed = base.sandbox.exec(["git", "ls-tree", *below, "--name-only", base.base_commit, f"{folder}/"])
    return any(_is_named(line, _NAMED) for line in listed.output.splitlines())


def seat(
    fork: Workspace,
    base: Workspace,
    patch: Patch,
    reproduction: Mapping[str, str],
    *,
    command: str = "",
    targets: Collection[str] = (),
    home: Callable[[str], str | None] = file_of,
) -> Bench:
    """Bring `fork`, a fork of `base`, to the patched product with the base's own judges (`targets` are judges
    wherever they stand) and the accepted reproduction. `home` gives the file of a test. Raises: PatchError, SandboxError."""
    fork.apply(patch)
    named = {file_of(test) for test in targets if not is_example(test)}
    held = [
        path
        for path in patch.files
        if path not in reproduction and (path in named or is_judge(base, path, command))
    ]
    for path in held:
        before = _bytes(base, path)
        if before is None:
            fork.sandbox.exec(["rm", "-f", "--", path])
        else:
            fork.sandbox.exec(["rm", "-rf", "--", path])  # it may have become a link or a folder
            fork.sandbox.write_bytes(path, before)
    product = [path for path in patch.files if path not in held and path not in reproduction]
    for path, text in reproduction.items():
        fork.write_text(path, text)
    before_, after = ({path: _text(tree, path) for path in product} for tree in (base, fork))
    signs = tampering(
        before_, after, command=bool(command) and "pytest" not in command and "unittest" not in command
    )
    judging = [test for test in targets if is_example(test)]
    homes = {test: home(test) or file_of(test) for test in targets}
    sources = {test: test_source(_text(fork, path) or "", test) for test, path in homes.items()}
    cases = special_cases(before_, after, sources)
    return Bench(tuple(held), (*signs, *bent_examples(before_, after, judging)), cases)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A final check, and all that belongs to it."""

    check: Check
    marks: tuple[str, ...] = ()
    """Signs that the patch reaches for its judge."""
    held_back: tuple[str, ...] = ()
    special_cases: tuple[str, ...] = ()
    """What the patch answers to the very values of the targets, as they expect it: somebody has to look."""
    own: TestReport | None = None
    """Of the tests that the patch itself brings or changes, on the patch as it is; None when it has none."""

    @property
    def own_tests(self) -> tuple[int, int] | None:
        """(passed, not passed) of them."""
        return (len(self.own.passing), len(self.own.results) - len(self.own.passing)) if self.own else None

    @property
    def contradicted(self) -> frozenset[str]:
        """Tests of the base that the patch breaks as they were, and that pass as the patch changes them."""
        return self.check.comparison.broken & (self.own.passing if self.own else frozenset())

    @property
    def verified(self) -> bool:
        return self.check.verified and not self.marks


async def judge(
    suite: Suite,
    patch: Patch,
    reproduction: Mapping[str, str],
    targets: Collection[str],
    command: str,
    apart: Collection[str] = (),
) -> Judgement:
    """The final word: the patched product on a clean base under the base's own tests and the accepted
    reproduction, cold. `apart` are further tests in files of the patch. Raises: PatchError, SandboxError."""
    base = suite.base
    fork = await asyncio.to_thread(base.fork)
    try:
        bench = await asyncio.to_thread(
            seat,
            *(fork, base, patch, reproduction),
            command=command,
            targets=targets,
            home=suite.commit.home,
        )
        check = await suite.check(fork, patch, targets, final=True)
        passed = check.passed_targets if check.verified else frozenset[str]()
        doubted = await asyncio.to_thread(doubts, suite, fork, patch, reproduction, passed)
    finally:
        await asyncio.shield(asyncio.to_thread(fork.close))
    shown = await asyncio.to_thread(against, suite, patch, check.report)
    found = tuple(dict.fromkeys([*bench.signs, *shown, *doubted]))
    named = {*bench.own_tests, *apart}
    own = await asyncio.to_thread(run_apart, suite.runner, base, patch, named, timeout=suite.room(final=True))
    return Judgement(check, found, bench.held_back, bench.special_cases, own)


def run_apart(
    runner: TestRunner, base: Workspace, patch: Patch, tests: Collection[str], *, timeout: float | None = None
) -> TestReport | None:
    """Those of `tests` (files, ids) that are there on the patch as it is; None when none is. Raises: SandboxError."""
    if not tests:
        return None
    with base.fork() as fork:
        fork.apply(patch)
        there = sorted(test for test in tests if _bytes(fork, file_of(test)) is not None)
        return runner.run(fork, there, timeout=timeout, cold=True) if there else None


def _bytes(workspace: Workspace, path: str) -> bytes | None:
    try:
        return workspace.sandbox.read_bytes(path)
    except OSError:
        return None


def _text(workspace: Workspace, path: str) -> str | None:
    data = _bytes(workspace, path)
    return None if data is None or b"\0" in data else data.decode("utf-8", "surrogateescape")
