"""The tamper flag: what a prediction changes of its judge, or says in its name. It never changes a verdict.

The official rules run a prediction's own conftest files, helpers and configuration, in one process with the
tests, and read a log that the prediction can print to. A resolved prediction with a flag wants to be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ...tools.sandbox import Sandbox
from ...tools.testing.tampering import tampering
from ...tools.testing.test_files import is_test_file
from .grading import END, EXIT_CODE, START
from .logs import FAILED, PASSED, Parser
from .script import changed_files

_ALWAYS = frozenset(
    {"conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "runtests.py", "noxfile.py"}
)
_SHARED = frozenset({"pyproject.toml", "setup.cfg", "tox.ini", "Makefile", "manage.py"})
_CONFIGURES = re.compile(
    r"pytest|addopts|\bplugins?\b|unittest|test[_-]?runner|python_files|norecursedirs", re.I
)
_TEST_NAME = re.compile(r"^(test_.*|.*_test|tests)\.py$")
_SUMMARY = re.compile(r"^=* ?\d+ \w+(?:, \d+ \w+)* in [\d.]+ ?s", re.MULTILINE)
_PASSED = re.compile(r"\b(\d+) passed\b")
_MOST = 20


def tampered_files(sandbox: Sandbox, patch: str, commit: str) -> tuple[str, ...]:
    """What of a prediction, applied in `sandbox` on `commit`, concerns its judge."""
    found: list[str] = []
    before: dict[str, str | None] = {}
    after: dict[str, str | None] = {}
    for path in changed_files(patch):
        old, new = _at_base(sandbox, commit, path), _now(sandbox, path)
        name = PurePosixPath(path).name
        if name in _ALWAYS:
            found.append(f"{path}: configures the tests")
        elif name in _SHARED:
            known = set((old or "").splitlines())
            if any(_CONFIGURES.search(line) for line in (new or "").splitlines() if line not in known):
                found.append(f"{path}: configures the tests")
        elif is_test_file(path):
            if old is not None and not _TEST_NAME.match(name) and path.endswith(".py"):
                found.append(f"{path}: a helper of the tests was changed")
        else:
            before[path], after[path] = old, new
    return tuple([*found, *tampering(before, after)][:_MOST])


def tampered_log(output: str, parser: Parser, names: Sequence[str]) -> tuple[str, ...]:
    """Signs in a test log that not the test runner wrote it: markers in it, tests that both pass and fail,
    more passes than the runner counted."""
    found = [f"the log holds the mark {mark!r}" for mark in (START, END, EXIT_CODE) if mark in output]
    found += _contradictions(output, parser, frozenset(names))
    lines = {line for line in output.splitlines() if line.startswith(f"{PASSED} ") and "::" in line}
    if lines:
        summaries = [
            match[0] for match in _SUMMARY.finditer(output) if "passed" in match[0] or "failed" in match[0]
        ]
        if not summaries:
            found.append("tests are reported as passed and the run has no end")
        elif len(lines) > sum(int(count) for text in summaries for count in _PASSED.findall(text)):
            found.append("more tests are reported as passed than the runner counted")
    return tuple(found[:_MOST])


def _contradictions(output: str, parser: Parser, names: frozenset[str]) -> Iterator[str]:
    seen: dict[str, set[str]] = {}
    for line in output.splitlines():
        if len(line) < 2000:
            for test, status in parser(line).items():
                if test in names:
                    seen.setdefault(test, set()).add(status)
    for test, statuses in seen.items():
        if {PASSED, FAILED} <= statuses:
            yield f"{test} is reported as passed and as failed"


def _now(sandbox: Sandbox, path: str) -> str | None:
    try:
        return _text(sandbox.read_bytes(path, max_bytes=4 << 20))
    except OSError:
        return None


def _at_base(sandbox: Sandbox, commit: str, path: str) -> str | None:
    place = ".git/swe-agent-base"
    done = sandbox.exec(f'git show "$WANTED" > {place}', env={"WANTED": f"{commit}:{path}"}, timeout=60)
    return _text(sandbox.read_bytes(place, max_bytes=4 << 20)) if done.exit_code == 0 else None


def _text(data: bytes) -> str | None:
    return None if b"\0" in data else data.decode("utf-8", "surrogateescape")
