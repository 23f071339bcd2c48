"""Executed: failing tests that run what an issue names, where their words say nothing of it.

A fault in a helper shows in tests that never name it. That such a test runs the function which the issue names is
little by itself; that an edit in this very function turns it green, and breaks nothing, is much. So these tests are
taken together with the lines that may be edited for them.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ...tools.errors import ToolError
from ...tools.testing.impact.ranking import Impact
from ...tools.testing.test_files import is_test_file
from .base_commit import BaseCommit
from .relevance import Belonging, Spans, code_names

MOST_TESTS = 60
"""Failing tests that are traced."""
MOST_PLACES = 3
"""A name that is defined in more places says nothing of where."""
LONGEST_S = 60.0


def shown_by(commit: BaseCommit, say: Callable[[str], None] | None) -> Belonging:
    """The failing tests that speak of the issue; where there are none and `say` is given: those that run a function
    which it names, for one traced run of at most `MOST_TESTS` tests. Raises: SandboxError."""
    shown = commit.belonging()
    return shown if say is None else _by_execution(commit, shown, say)


def _by_execution(commit: BaseCommit, shown: Belonging, say: Callable[[str], None]) -> Belonging:
    silent = shown.silent
    if shown.tests or not silent or commit.impact is None:
        return shown
    spans = named_spans(commit.issue, commit.impact)
    if not spans:
        return shown
    try:
        seen = commit.runner.map_coverage(commit.workspace, silent[:MOST_TESTS], timeout=LONGEST_S)
    except ToolError:
        return shown
    hits = frozenset(silent) & {
        test
        for path, places in spans.items()
        for test in seen.covering(
            path, (line for first, last in places for line in range(first + 1, last + 1))
        )
    }
    if not hits:
        return shown
    say("no failing test speaks of the issue; some run what it names: an edit there is looked for")
    unrelated = {test: why for test, why in shown.unrelated.items() if test not in hits}
    return replace(shown, tests=hits, unrelated=unrelated, within=spans)


def named_spans(issue: str, impact: Impact) -> Spans:
    """Path → lines of the product's functions that the issue names as code; of its classes, where it names no
    function."""
    names = code_names(issue)
    functions, classes = list[tuple[str, str, int, int]](), list[tuple[str, str, int, int]]()
    for path, facts in impact.facts.items():
        if is_test_file(path) or not names & (facts.defines | facts.members):
            continue
        for node in _definitions(impact.tree.text(path) or ""):
            if node.name in names:
                group = classes if isinstance(node, ast.ClassDef) else functions
                group.append((node.name, path, node.lineno, node.end_lineno or node.lineno))
    return _spans(functions) or _spans(classes)


def _definitions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.encode("utf-8", "surrogateescape"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _spans(found: Iterable[tuple[str, str, int, int]]) -> Spans:
    places: dict[str, list[tuple[str, tuple[int, int]]]] = {}
    for name, path, first, last in found:
        places.setdefault(name, []).append((path, (first, last)))
    spans: dict[str, list[tuple[int, int]]] = {}
    for where in places.values():
        if len(where) <= MOST_PLACES:
            for path, span in where:
                spans.setdefault(path, []).append(span)
    return spans
