"""Which generated tests show the issue: filtered on the base commit, stable, clustered. Pure logic.

Generated tests are often wrong, so a test is kept only when it fails on the base commit for a reason that
can be the issue's, in the same way every time, and tests that fail alike share one weight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...tools.testing.report import Outcome, TestReport, TestResult

RUNS = 3
"""Runs on the base commit that a kept test must fail alike."""
_BROKEN_TEST = frozenset(
    {
        "ImportError",
        "ModuleNotFoundError",
        "SyntaxError",
        "IndentationError",
        "TabError",
        "FixtureLookupError",
    }
)
"""The test itself does not work, unless the issue is about just that."""
_MISTAKES = frozenset({"NameError", "UnboundLocalError", "AttributeError", "TypeError", "FileNotFoundError"})
"""Raised by the test's own line, they are the test's mistake unless the issue names what is missing."""
_HANGS = re.compile(
    r"\b(hang|hangs|hung|infinite|endless|time ?out|times out|never (returns|ends)|freez)", re.I
)
_EXCEPTION = re.compile(
    r"^(?:E\s+)?(?:[\w.]+\.)?([A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit|Failed)|XFail|SkipTest|Skipped)\b",
    re.M,
)
_RAISED_AT = re.compile(r"^(?:.*File \"(?P<py>[^\"]+)\", line \d+|(?P<pytest>[^\s:]+\.py):\d+: )", re.M)
_QUOTED = re.compile(r"['\"`]([A-Za-z_][\w.]*)['\"`]")


@dataclass(frozen=True, slots=True)
class Failure:
    """How a test failed. `exception` None: nothing recognisable was printed."""

    exception: str | None
    raised_in: str | None
    """File of the innermost frame, as printed."""
    signature: str
    """The same for failures that differ only in addresses, numbers, paths and quoted values."""


def failure_of(result: TestResult) -> Failure:
    text = result.message
    names = _EXCEPTION.findall(text)
    plain_assert = re.search(r"^E\s+assert\b", text, re.M)
    exception = names[-1] if names else "AssertionError" if plain_assert else None
    if "fixture '" in text and "not found" in text:
        exception = "FixtureLookupError"
    places = [match["py"] or match["pytest"] for match in _RAISED_AT.finditer(text)]
    return Failure(exception, places[-1] if places else None, f"{exception}: {_essence(text)}")


def _essence(text: str) -> str:
    """The line that says what was wrong, without what changes from run to run."""
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ") and line[1:].strip()]
    lines = marked[:1] or [line.strip() for line in text.splitlines() if line.strip()][-1:]
    line = lines[0] if lines else ""
    line = re.sub(r"0x[0-9a-fA-F]+", "0x", line)
    line = re.sub(r"(/[\w.\-]+)+", "/", line)
    line = re.sub(r"'[^']*'|\"[^\"]*\"", "''", line)
    return re.sub(r"\d+(\.\d+)?", "0", line)[:200]


def refusal(runs: Sequence[TestResult | None], issue: str, *, test_file: str | None = None) -> str | None:
    """Why a test does not show the issue, in plain words; None: keep it.

    `runs`: its result in each run on the base commit (None: it was not there). `issue`: the issue's text.
    """
    if len(runs) < RUNS:
        return f"was run {len(runs)} times on the base commit, not {RUNS}"
    seen = [run for run in runs if run is not None]
    if len(seen) < len(runs):
        return "is not collected every time"
    if all(run.outcome.good for run in seen):
        return "passes on the base commit"
    if any(run.outcome in (Outcome.SKIPPED, Outcome.XPASSED) for run in seen):
        return "is skipped on the base commit"
    if not all(run.outcome.bad for run in seen):
        return "does not fail on the base commit every time"
    failures = [failure_of(run) for run in seen]
    if len({failure.exception for failure in failures}) > 1:
        return "fails in different ways from run to run"
    return _foreign(failures[0], seen[0], issue, test_file)


def _foreign(failure: Failure, result: TestResult, issue: str, test_file: str | None) -> str | None:
    """Why this failure cannot be the issue's own."""
    name = failure.exception
    if name == "AssertionError":
        return None
    if name is None:
        if "timeout" in result.message.lower() or "timed out" in result.message.lower():
            return None if _HANGS.search(issue) else "times out, which the issue does not speak of"
        return "fails without saying why" if result.outcome is Outcome.ERROR else None
    if name == "Failed":
        # pytest.fail and pytest.raises (DID NOT RAISE) are assertions by another name.
        return None
    named = re.search(rf"\b{re.escape(name)}\b", issue) is not None
    if name in _BROKEN_TEST:
        return None if named else f"fails by {name}, which is not the issue"
    own = test_file is not None and failure.raised_in is not None and failure.raised_in.endswith(test_file)
    if name in _MISTAKES and own and not named:
        missing = [word.rpartition(".")[2] for word in _QUOTED.findall(result.message)]
        if not any(re.search(rf"\b{re.escape(word)}\b", issue) for word in missing):
            return f"fails by a {name} of its own"
    if result.outcome is Outcome.ERROR and own and not named:
        return f"fails by {name} before it tests anything"
    return None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Kept tests that fail alike on the base commit."""

    signature: str
    tests: tuple[str, ...]

    @property
    def weight(self) -> float:
        """Of each test: a cluster of n tests counts √n together, as n samples that agree."""
        return 1 / math.sqrt(len(self.tests))


@dataclass(frozen=True, slots=True)
class Kept:
    """The outcome of the filter."""

    clusters: tuple[Cluster, ...]
    """The largest first."""
    refused: Mapping[str, str]
    """Test → why."""

    @property
    def tests(self) -> tuple[str, ...]:
        return tuple(sorted(test for cluster in self.clusters for test in cluster.tests))

    @property
    def weights(self) -> dict[str, float]:
        """Test → prior weight: what `Measurement.weights` takes."""
        return {test: cluster.weight for cluster in self.clusters for test in cluster.tests}


def merge(parts: Sequence[Kept]) -> Kept:
    """What several samples kept, clustered together."""
    groups: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    for part in parts:
        refused |= part.refused
        for cluster in part.clusters:
            groups.setdefault(cluster.signature, []).extend(cluster.tests)
    return Kept(_clusters(groups), refused)


def _clusters(groups: Mapping[str, Sequence[str]]) -> tuple[Cluster, ...]:
    clusters = [Cluster(signature, tuple(sorted(set(tests)))) for signature, tests in groups.items()]
    return tuple(sorted(clusters, key=lambda cluster: (-len(cluster.tests), cluster.tests)))


def sift(reports: Sequence[TestReport], tests: Sequence[str], issue: str) -> Kept:
    """Filter and cluster generated tests by their runs on the base commit.

    `tests` are the ids or prefixes of ids (a file, a class, a parametrised function) that were asked for.
    """
    refused: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    ids = sorted({test for report in reports for test in report.results})
    for test in ids:
        if not any(test == name or test.startswith((f"{name}::", f"{name}[", f"{name}.")) for name in tests):
            continue
        runs = [report.results.get(test) for report in reports]
        why = refusal(runs, issue, test_file=test.partition("::")[0] if "::" in test else None)
        if why is not None:
            refused[test] = why
        elif (first := runs[0]) is not None:
            groups.setdefault(failure_of(first).signature, []).append(test)
    for name in tests:
        if not any(test == name or test.startswith((f"{name}::", f"{name}[", f"{name}.")) for test in ids):
            refused[name] = _uncollected(reports)
    return Kept(_clusters(groups), refused)


def _uncollected(reports: Sequence[TestReport]) -> str:
    texts = [text for report in reports for text in report.collection_errors]
    for text in texts:
        exception = failure_of(TestResult(Outcome.ERROR, message=text)).exception
        if exception is not None:
            return f"cannot be collected: {exception}"
    return "cannot be collected"
