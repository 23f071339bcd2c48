"""BaseKnowledge: what was learned about a base commit, kept in the user's cache for later runs of that commit.

Only tests of files that are in the commit itself are kept, and only what runs on the untouched commit said: a
benchmark's hidden tests, a role's new ones and a candidate's outcomes have no way in.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...tools.project.spec import Project
from ...tools.testing.report import Baseline, Outcome, TestResult

VERSION = 3
_MOST_FILES, _MOST_BYTES = 200, 128 << 20
_MOST_CHARS = 4 << 20
"""Of failures of one commit; a failing test beyond that is forgotten, and so is that its file was run."""


@dataclass(slots=True)
class BaseKnowledge:
    """Of one commit under one environment."""

    baseline: Baseline = field(default_factory=lambda: Baseline({}))
    files: set[str] = field(default_factory=set[str])
    """Test files that were run to their end."""
    durations: dict[str, float] = field(default_factory=dict[str, float])
    """Test file → seconds of its tests."""
    whole: bool = False
    """Whether the whole suite was run."""
    failures: dict[str, TestResult] = field(default_factory=dict[str, TestResult])
    """How the failing tests failed."""
    long: set[str] = field(default_factory=set[str])
    """Test files that are too long for a first look."""
    steady: set[str] = field(default_factory=set[str])
    """Tests that were asked again and failed again."""


class KnowledgeCache:
    """A JSON file per commit and environment under `folder`; None: nothing is kept. A fault is a miss."""

    def __init__(self, folder: Path | None, commit: str, project: Project) -> None:
        how = repr((VERSION, commit, project.test_command, project.python, sorted(project.env.items())))
        name = hashlib.sha256(how.encode("utf-8", "surrogateescape")).hexdigest()[:40]
        self._path = folder / f"{name}.json" if folder else None

    def read(self) -> BaseKnowledge:
        """What is known; empty when nothing is."""
        if self._path is None:
            return BaseKnowledge()
        try:
            data = json.loads(self._path.read_text("utf-8"))
            outcomes = {str(test): Outcome(value) for test, value in data["tests"].items()}
            took = data["duration_s"]
            baseline = Baseline(
                outcomes,
                frozenset(data["flaky"]),
                None if took is None else float(took),
                int(data["runs"]),
                None,
                tuple(data["lacking"]),
            )
            durations = {str(file): float(seconds) for file, seconds in data["durations"].items()}
            failures = {
                str(test): TestResult(outcomes[test], None, str(message))
                for test, message in data["failures"].items()
            }
            files, long, steady = (set(map(str, data[name])) for name in ("files", "long", "steady"))
            return BaseKnowledge(baseline, files, durations, bool(data["whole"]), failures, long, steady)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return BaseKnowledge()

    def write(self, knowledge: BaseKnowledge, files: Collection[str]) -> None:
        """Keep what is known of tests in `files`, the files of the commit."""
        if self._path is None or knowledge.baseline.problem:
            return
        baseline = knowledge.baseline
        kept = {test: value for test, value in baseline.outcomes.items() if _home(test, files)}
        failures = _within(
            {test: knowledge.failures.get(test) for test, value in sorted(kept.items()) if value.bad}
        )
        forgotten = {test for test, value in kept.items() if value.bad} - failures.keys()
        kept = {test: value for test, value in kept.items() if test not in forgotten}
        ended = knowledge.files & set(files) - {test.partition("::")[0] for test in forgotten}
        data: Mapping[str, object] = {
            "tests": {test: str(value) for test, value in kept.items()},
            "flaky": sorted(baseline.flaky & kept.keys()),
            "duration_s": baseline.duration_s,
            "runs": baseline.runs,
            "lacking": list(baseline.lacking),
            "files": sorted(ended),
            "failures": failures,
            "long": sorted(knowledge.long & set(files)),
            "steady": sorted(knowledge.steady & failures.keys()),
            "durations": {file: round(s, 3) for file, s in knowledge.durations.items() if file in files},
            "whole": knowledge.whole and not forgotten,
        }
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps(data), "utf-8")
            draft.replace(self._path)
            _trim(self._path.parent)


def _within(failures: Mapping[str, TestResult | None]) -> dict[str, str]:
    """Test → message, of those that are known, in order, as far as there is room."""
    kept, room = dict[str, str](), _MOST_CHARS
    for test, result in failures.items():
        room -= len(result.message) if result else 0
        if result is not None and room >= 0:
            kept[test] = result.message
    return kept


def _home(test: str, files: Collection[str]) -> bool:
    """Whether a test's file is one of the commit's; a dotted id's module is looked for under any folder."""
    file = test.partition("::")[0]
    return file in files if "::" in test or "/" in test else True


def _trim(folder: Path) -> None:
    """The least recently written go first."""
    entries = sorted(
        ((path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob("*.json")), reverse=True
    )
    total = 0
    for number, (_, size, path) in enumerate(entries):
        total += size
        if number >= _MOST_FILES or total > _MOST_BYTES:
            path.unlink(missing_ok=True)
