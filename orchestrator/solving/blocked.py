"""Blocked: runs that came to no test, for a conftest, a plugin or the configuration ended them for all that was asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ...tools.testing.report import Outcome, TestReport, TestResult
from .test_names import file_of

_NAMED = re.compile(r"while loading conftest '([^'\n]+)'")
_FRAME = re.compile(r"^([^\s:'\"]*conftest\.py):\d+:", re.M)
_TAIL_CHARS = 2000
_NOTHING_TO_RUN = (0, 5)


def is_blocked(part: Sequence[str], report: TestReport) -> bool:
    """Whether no test of `part` (test files, and ids in them) was reached, and something failed."""
    if report.timed_out or report.exit_code in _NOTHING_TO_RUN:
        return False
    if all(file_of(name) in report.results for name in part):  # each has an error of its own
        return False
    if set(part) <= set(report.unknown):
        return True
    folders = {name for name in report.results if _is_above(name, part)}
    return report.results.keys() == folders and not report.unknown


def blockers(part: Sequence[str], report: TestReport, reasons: Collection[str] = ()) -> dict[str, TestResult]:
    """Of a blocked run: the files that are known to be blocked, each with the error; the others may only have been
    asked for beside them. `reasons` are those of files that were blocked alone: what blocks all alike blocks all.
    Empty where it cannot be told."""
    files = list(dict.fromkeys(map(file_of, part)))
    kept = dict[str, TestResult]()
    for folder, result in report.results.items():
        frames = _FRAME.findall(result.message)
        below = folder if folder not in ("", ".") else frames[-1].rpartition("/")[0] if frames else None
        kept |= {file: result for file in files if below is not None and _is_in(file, below)}
    if kept or report.results:
        return kept
    why = TestResult(Outcome.ERROR, None, report.output.strip()[-_TAIL_CHARS:] or f"exit {report.exit_code}")
    if named := _NAMED.search(report.output):
        folder = named[1].rpartition("/")[0] + "/"
        return dict.fromkeys([file for file in files if _ends_with_a_folder_of(file, folder)] or files, why)
    if set(part) <= set(report.unknown):
        return {}
    return dict.fromkeys(files, why) if len(files) == 1 or reason(why) in reasons else {}


def reason(result: TestResult) -> str:
    """The last line of an error."""
    return result.message.rpartition("\n")[2].strip()


def _is_above(name: str, part: Sequence[str]) -> bool:
    return name in ("", ".") or any(file_of(test).startswith(f"{name}/") for test in part)


def _is_in(file: str, folder: str) -> bool:
    return not folder or file.startswith(f"{folder}/")


def _ends_with_a_folder_of(file: str, folder: str) -> bool:
    """Whether one of the file's folders is the end of `folder`, an absolute path that ends in a slash."""
    parents = [file[: at + 1] for at, char in enumerate(file) if char == "/"]
    return any(folder.endswith(f"/{parent}") for parent in parents)
