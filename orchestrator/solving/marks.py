"""Marks: which signs of tampering in a run speak against a patch, and what the doubted targets say of it.

A mark that the base's run of the same tests makes as well says nothing, nor does one about the ways of a file that
the patch leaves as it was. Only a file that the patch brings or changes can look into the process on its behalf.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from ...tools.patch import Patch
from ...tools.testing.doubt import suspicions
from ...tools.testing.report import ENDED_EARLY, TestReport
from ...tools.workspace import Workspace
from .purchase import buy
from .suite import Suite
from .test_names import file_of

_PART = 4
"""Test files of one run on the base."""
_OWNS = re.compile(r"(?P<path>.+?)(?: looks into the process by |: objects of | reaches into memory by )")
_PLACES = re.compile(r"(?P<path>.+?) replaces ")


def against(suite: Suite, patch: Patch, report: TestReport | None) -> tuple[str, ...]:
    """The marks of a final check's report that speak against `patch`; the base is asked where there are any.
    Blocking. Raises: SandboxError."""
    if report is None:
        return ()
    there = _Files(suite, patch)
    found = [mark for mark in report.marks if not there.says(mark, _OWNS)]
    if found:
        on_base, ended = _of_base(suite, report, found)
        found = [mark for mark in found if mark not in on_base and (ended or not there.says(mark, _PLACES))]
    if not report.ended and not report.timed_out:
        found.append(ENDED_EARLY)
    return tuple(dict.fromkeys(found))


class _Files:
    """Files of the base commit that the patch leaves as they were."""

    def __init__(self, suite: Suite, patch: Patch) -> None:
        self._suite = suite
        self._changed = frozenset(patch.files)
        self._known: dict[str, bool] = {}

    def says(self, mark: str, form: re.Pattern[str]) -> bool:
        """Whether a mark of this form is about such a file."""
        match = form.match(mark)
        return match is not None and self.unchanged(match["path"])

    def unchanged(self, path: str) -> bool:
        """Whether the base has the file, and the patch leaves it so."""
        if not path:
            return False
        if path in self._changed:
            return False
        if path not in self._known:
            base = self._suite.base
            asked = ["git", "cat-file", "-e", f"{base.base_commit}:{path}"]
            self._known[path] = base.sandbox.exec(asked).exit_code == 0
        return self._known[path]


def _of_base(suite: Suite, report: TestReport, wanted: Collection[str]) -> tuple[frozenset[str], bool]:
    """Which of the `wanted` marks the base makes as well in the test files whose runs made them, and whether all of
    those were heard. They are asked in parts: marks are told at the end of a run, and the whole may not end in time."""
    exact = sorted(test for test in report.marked if file_of(test) != test)
    files = sorted({test for test in report.marked if file_of(test) == test})
    homes = sorted({file_of(test) for test in (report.marked or report.results) if test} - set(files))
    seen = set[str]()

    def heard(part: TestReport) -> bool:
        seen.update(part.marks)
        return seen >= set(wanted)

    # What took the candidate its time takes the base as long, whatever was planned for it.
    longest = max(suite.room(final=True), 1.5 * report.duration_s)
    wall = suite.within_run(longest) or longest
    ended = True
    # A look may find late what an earlier test did: where the named ones do not make it, all that was run is asked.
    others = sorted({file_of(test) for test in report.results if test} - {*files, *homes})
    in_parts = (
        [some[at : at + _PART] for at in range(0, len(some), _PART)] for some in (files, homes, others)
    )
    ends = time.monotonic() + wall
    for parts in ([exact] if exact else [], *in_parts):
        if parts and not seen >= set(wanted):  # a test that makes it alone spares its whole file
            left = max(1.0, ends - time.monotonic())
            bought = buy(suite.runner, suite.base, parts, wall_s=left, cold=True, on_part=heard)
            ended &= parts == [exact] or not bought.timed_out
    return frozenset(seen), ended


def doubts(
    suite: Suite, fork: Workspace, patch: Patch, reproduction: Mapping[str, str], passed: Collection[str]
) -> tuple[str, ...]:
    """What speaks against targets that `passed` in `fork`, the judged product, when they are run in a form in which
    they cannot pass (see `tools/testing/doubt.py`). Blocking. Raises: SandboxError."""
    if not passed or suite.runner.project.test_command.runner == "custom":
        return ()
    there = _Files(suite, patch)

    @contextmanager
    def base() -> Iterator[Workspace]:
        with suite.base.fork() as untouched:
            for path, text in reproduction.items():
                untouched.write_text(path, text)
            yield untouched

    return suspicions(
        suite.runner,
        fork,
        passed,
        base=base,
        is_own=lambda path: not there.unchanged(path),
        timeout=suite.room(final=True),
    )
