"""Relevance: which failing tests belong to an issue, by evidence. Pure logic.

A repository's tests fail for many reasons. A test belongs to the issue when names, files, errors and values of
the issue are found in the test's id, its body, its failure or the frames of its traceback. A test that lacks a
module, the network or a tool fails because of the machine and shows nothing, unless the issue speaks of just that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...tools.testing.impact.words import STOP, stems_of
from ...tools.testing.report import TestResult
from .reproduction import failure_of

Spans = Mapping[str, Sequence[tuple[int, int]]]

NOTHING = "nothing of the issue is in it"
ENOUGH = 0.5
"""Evidence that makes a test the issue's; a rare word of the issue in its name, or two in its body."""
_CROWD = 8
"""Where more tests than that fail, some have words of the issue by chance."""
_COMMON, _CROWD_COMMON = 0.3, 0.4
"""Words that are less telling than that are no evidence, however many; the second in a crowd."""
_SHARE = 0.35
"""Of the best test's evidence, which another needs at least."""

_NETWORK = re.compile(
    r"name resolution|Name or service not known|Network is unreachable|Connection refused|getaddrinfo failed|"
    r"nodename nor servname|Max retries exceeded|No route to host|ConnectTimeout|ConnectError|gaierror|URLError"
)
_MACHINE = {
    "ModuleNotFoundError": "a module is missing",
    "ImportError": "an import fails",
    "FixtureLookupError": "a fixture is missing",
    "PermissionError": "the machine does not permit it",
    **dict.fromkeys(("SkipTest", "Skipped"), "it asks to be skipped"),
    "XFail": "it is expected to fail",
}
_INSTALLED = re.compile(r"/(?:site|dist)-packages/|/lib(?:64)?/python\d")
_TOOL = re.compile(r"FileNotFoundError: \[Errno 2\] No such file or directory: '([\w.+-]+)'")
_PLACE = re.compile(
    r"\b(tm_zone|tzname|No time ?zone|time ?zone data|ZoneInfoNotFoundError|locale\.Error|unsupported locale|DISPLAY|"
    r"no display|root user|getuid|No usable temporary|libGL|CUDA)\b"
)
_ASSERTION = re.compile(r">\s+assert\b")
_CODE = re.compile(
    r"`+([^`\n]+)`+|([A-Za-z_][\w.]*)\(|\b([A-Za-z]\w*(?:\.\w+)+)\b|\b(\w*_\w+|[A-Z]?[a-z]+[A-Z]\w*)\b"
)
_NAME = re.compile(r"[A-Za-z_]\w+")
_ANY = frozenset(
    ("foo", "bar", "baz", "qux", "quux", "foobar", "spam", "eggs", "ham", "lorem", "ipsum", "example")
)
"""Names of examples that stand for any other."""
_PATH = re.compile(r"[\w.-]*(?:/[\w.-]+)*/?[\w-]+\.(?:py|js|ts|go|rs|java|rb|c|h|cpp|toml|cfg|json|txt)\b")
_VALUE = re.compile(r"'([^'\n]{2,60})'|\"([^\"\n]{2,60})\"|(?<![\w.])(\d[\d.:]*\d)(?![\w])")
_FOREIGN = re.compile(r"(?<![\w.~+/-])/(?:[\w.+@~-]+/)+")
_FRAME = re.compile(r"(?:File \"([^\"]+)\", line \d+, in (\w+))|^([^\s:]+\.py):\d+: (?:in (\w+))?", re.M)


@dataclass(frozen=True, slots=True)
class Failing:
    """A test that fails on the base commit."""

    test: str
    result: TestResult
    body: str = ""
    """Its source, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """Which failing tests show the issue, and why the others do not."""

    tests: frozenset[str] = frozenset()
    evidence: Mapping[str, float] = field(default_factory=dict[str, float])
    """Test → how much speaks for it."""
    unrelated: Mapping[str, str] = field(default_factory=dict[str, str])
    """Test → why it does not count, in plain words."""
    within: Spans = field(default_factory=dict[str, tuple[tuple[int, int], ...]])
    """Path → first and last lines of what the issue names, where `tests` were chosen for running it alone: nothing but
    an edit there that turns them green shows that they are the issue's."""

    @property
    def silent(self) -> tuple[str, ...]:
        """Failing tests that the machine does not explain and that say nothing of the issue: its fault may show in
        them all the same."""
        return tuple(sorted(test for test, why in self.unrelated.items() if why == NOTHING))


@dataclass(frozen=True, slots=True)
class _Clues:
    """What an issue gives to hold on to."""

    text: str
    names: frozenset[str]
    stems: frozenset[str]
    values: frozenset[str]
    paths: frozenset[str]


def belonging(
    issue: str, failing: Iterable[Failing], rarity: Callable[[str], float] | None = None
) -> Belonging:
    """Sort the failing tests. `rarity` says of a lower-case stem (see `impact/words`) how telling it is in this repository:
    1 where few files have it, 0 where all or none do; None: every word is as good. An issue that names nothing the
    repository has (`it is broken`) excludes nothing but what the machine explains."""
    clues, tests = _clues(issue), list(failing)
    weigh = _telling(rarity or (lambda stem: 1.0), _CROWD_COMMON if len(tests) > _CROWD else _COMMON)
    machine = {item.test: why for item in tests if (why := of_the_machine(item.result, issue))}
    left = [item for item in tests if item.test not in machine]
    scores = {item.test: round(_evidence(item, clues, weigh) * _share(item, issue), 3) for item in left}
    if not clues.paths and not any(weigh(stem) > 0 for stem in clues.stems):
        return Belonging(frozenset(scores), scores, machine)
    # The more fails, the more of it has words of the issue by chance.
    enough = ENOUGH * (1 + math.log2(1 + max(0, len(tests) - _CROWD) / _CROWD) / 2)
    bar = max(min(enough, _offer(clues, weigh) / 2), _SHARE * max(scores.values(), default=0.0))
    chosen = {test for test, score in scores.items() if score >= bar and score > 0}
    places = {_place(item) for item in left if item.test in chosen} - {None}
    chosen |= {item.test for item in left if _place(item) in places}
    other = dict.fromkeys(scores.keys() - chosen, NOTHING)
    return Belonging(frozenset(chosen), scores, {**machine, **other})


def _share(item: Failing, issue: str) -> float:
    """What is raised in an installed package, and is no word of the issue, is half as likely to be the issue's."""
    failure = failure_of(item.result)
    named = failure.exception and re.search(rf"\b{re.escape(failure.exception)}\b", issue)
    return 0.5 if _INSTALLED.search(failure.raised_in or "") and not named else 1.0


def _telling(rarity: Callable[[str], float], least: float) -> Callable[[str], float]:
    def weigh(stem: str) -> float:
        found = 0.0 if stem in _ANY else rarity(stem)
        return found if found >= least else 0.0

    return weigh


def of_the_machine(result: TestResult, issue: str = "") -> str:
    """Why a failure is the machine's and not the code's, in plain words; "" where it may be the code's."""
    text = _said(result.message)
    name = failure_of(result).exception or ""
    if name and re.search(rf"\b{re.escape(name)}\b", issue):
        return ""
    if (network := _NETWORK.search(text)) and network[0].lower() not in issue.lower():
        return "there is no network"
    if name in _MACHINE:
        return _MACHINE[name]
    if name.endswith("Warning") and _INSTALLED.search(failure_of(result).raised_in or ""):
        return "an installed package warns, which is an error here"
    if (tool := _TOOL.search(text)) and "/" not in tool[1] and "." not in tool[1] and tool[1] not in issue:
        return f"the tool {tool[1]} is missing"
    if (place := _PLACE.search(text)) and place[0].lower() not in issue.lower():
        return f"it depends on the machine ({place[0]})"
    return ""


def _said(message: str) -> str:
    """What an error says and the assertion that failed, without the other source lines that a traceback quotes: those
    are the code's."""
    lines = message.splitlines()
    marked = [line for line in lines if line.startswith("E ") or _ASSERTION.match(line)]
    return "\n".join(marked or [line for line in lines if line[:1] not in (" ", ">", "\t")])


def code_names(issue: str) -> frozenset[str]:
    """Identifiers that an issue writes as code."""
    found = {name for groups in _CODE.findall(issue) for text in groups for name in _NAME.findall(text)}
    return frozenset(name for name in found if name.lower() not in STOP and len(name) > 2)


def _clues(issue: str) -> _Clues:
    values = {value for groups in _VALUE.findall(issue) for value in groups if value}
    return _Clues(
        issue, code_names(issue), stems_of(issue), frozenset(values), frozenset(_PATH.findall(issue))
    )


def _offer(clues: _Clues, weigh: Callable[[str], float]) -> float:
    """What a test that speaks of all that a short issue says would have, at the least."""
    return len(clues.paths) + 0.3 * sum(weigh(stem) for stem in clues.stems)


def _evidence(item: Failing, clues: _Clues, weigh: Callable[[str], float]) -> float:
    said = _without_folders(item.result.message, clues.text)
    text = f"{item.body}\n{said}"
    words = set(_NAME.findall(text))
    function = re.split(r"::|\.", item.test.partition("[")[0])[-1]
    score = 3.0 if re.search(rf"\b{re.escape(function)}\b", clues.text) and len(function) > 5 else 0.0
    frames = {part for frame in _FRAME.findall(item.result.message) for part in frame if part}
    functions = {frame for frame in frames if "/" not in frame and not frame.endswith(".py")}
    for name in clues.names:
        telling = max((weigh(stem) for stem in stems_of(name)), default=0.0)
        score += 1.0 * telling if name in words else 0.0
        score += 0.5 if name in functions else 0.0
    files = {frame for frame in frames if frame.endswith(".py")} | {item.test.partition("::")[0]}
    score += sum(1.0 for path in clues.paths if any(file.endswith(path) for file in files))
    exception = failure_of(item.result).exception
    if exception and exception != "AssertionError" and re.search(rf"\b{re.escape(exception)}\b", clues.text):
        score += 1.0
    score += min(1.2, 0.4 * sum(1 for value in clues.values if value in text))
    own = stems_of(item.test.partition("[")[0])
    inside = stems_of(f"{item.body}\n{_said(said)}") - own
    score += min(1.8, sum(0.6 * weigh(stem) for stem in clues.stems & own))
    return score + min(1.0, sum(0.3 * weigh(stem) for stem in clues.stems & inside))


def _without_folders(message: str, issue: str) -> str:
    """Without the folders of absolute paths: they are named by the machine (`/home/dev/verbose/venv/bin/python`),
    unless the issue names them too."""
    return _FOREIGN.sub(lambda found: found[0] if found[0] in issue else "", message)


def _place(item: Failing) -> tuple[str, str] | None:
    """Where and how it fails, when that is in no test file: tests that fail alike there belong together."""
    frames = _FRAME.findall(item.result.message)
    if not frames:
        return None
    file = frames[-1][0] or frames[-1][2]
    line = re.findall(rf"{re.escape(file)}\"?(?:, line |:)(\d+)", item.result.message)
    own = item.test.partition("::")[0].rpartition("/")[2]
    if file.endswith(own) or "/test" in f"/{file}":
        return None
    return f"{file}:{line[-1] if line else ''}", failure_of(item.result).exception or ""
