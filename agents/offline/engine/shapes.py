"""What crosses a process in the engine, all of it JSON: the request, jobs, answers and the result.

For the type checker alone; nothing imports it at run time but the product's end.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple, TypedDict


class Hints(TypedDict, total=False):
    """What the issue's text says about where the fault is; see `agents/offline/hints.py`."""

    files: List[str]
    lines: List[Tuple[str, int]]
    functions: List[str]
    words: Dict[str, int]
    names: List[str]
    numbers: List[str]


class _Asked(TypedDict):
    root: str
    failing: List[str]
    """Test ids."""
    editable: List[str]
    tracked: List[str]
    k: int
    effort: int
    """Candidates."""
    seed: int
    workers: int


class Question(_Asked, total=False):
    """What is to be repaired, and how long to try."""

    hints: Hints
    issue: str
    arguments: List[str]
    """For pytest."""
    tops: List[str]
    """Folders, relative to the root, that unittest imports tests from."""
    also: List[str]
    """Tests that fail too: which of several patches mends more of them?"""
    within: Dict[str, List[List[int]]]
    """Path → first and last lines that alone may be edited; empty: all."""
    skip: int
    """Candidates that an earlier engine has judged."""
    soft: bool


class _Placed(Question):
    time_limit_s: float
    scratch: str
    result: str


class RepairRequest(_Placed, total=False):
    """A question with the places of one engine's files."""

    progress: str


class Stats(TypedDict, total=False):
    """Where a search stands, and what it came to."""

    tried: int
    number: int
    planned: int
    plausible: int
    best: int
    where: str
    first_s: float | None
    statuses: Dict[str, int]
    screened_s: float
    per_s: float | None
    limit_s: float
    improved: int
    lines: int
    spent: Dict[str, float]
    mode: str
    forks: int
    deaths: int
    seconds: float


class Statistics(Stats, total=False):
    """The last engine's, with how it ended."""

    status: str
    restarts_at: int | None


class Found(TypedDict):
    """A plausible candidate."""

    rank: int
    templates: List[str]
    score: float
    line: int
    sources: Dict[str, str]
    """New text of each file touched."""


class Result(TypedDict):
    status: str
    message: str
    plausible: List[Found]
    stats: Stats


class _Job(TypedDict):
    id: int
    edits: List[Tuple[str, int, str]]
    """Path, start of the chunk, its new text."""
    limit: float
    first: float


class Job(_Job, total=False):
    """What a warm worker is sent. `limit`: processor seconds; `first`: those of the failing tests."""

    again: bool


class _Answer(TypedDict):
    id: int
    status: str


class JobAnswer(_Answer, total=False):
    """What a warm worker says of a job; id and status alone where it died of it."""

    passed: bool
    gained: int
    lost: int
    key: str
    slow: bool
    seconds: float


class _FreshJob(TypedDict):
    arguments: List[str]
    overrides: Dict[str, str]
    limit: float


class FreshJob(_FreshJob, total=False):
    """A run of pytest from scratch; with `trace`, one that is traced on these files."""

    trace: List[str]
    fence: bool


class SentFreshJob(FreshJob):
    memory: int


class Seen(TypedDict):
    """What localisation found."""

    scores: Sequence[Tuple[str, int, float]]
    types: Sequence[Tuple[str, int, Dict[str, List[str]]]]
    attributes: Dict[str, List[str]]


class Traced(Seen):
    """The same of a run that came to its end."""

    units: Tuple[int, int]
    events: int
    reached: Sequence[Tuple[int, List[Tuple[str, int]]]]


class Probe(TypedDict):
    """The tests on the unchanged code; `red` and `green` are units."""

    failing: List[int]
    passing: List[int]
    red: Sequence[Sequence[int]]
    green: Sequence[Sequence[int]]
    seconds: float
    failing_s: float
    reuse: bool
    writes: List[str]
    errors: List[str]
