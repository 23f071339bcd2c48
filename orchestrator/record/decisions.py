"""The search's part of a run's vocabulary: its logical decisions, one dataclass per event. (The rest: `events`.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .event import OPTIONAL, SEARCH, Event, JsonObject, event


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Event):
    """What the search writes: logical decisions, in the same order whatever the number of workers."""

    by: str | None = field(default=SEARCH, metadata=OPTIONAL)


@event("decision")
class Decision(Decided):
    what: str  # expand | stop
    chosen: str | Sequence[str]
    why: str


@event("node")
class NodeOpened(Decided):
    id: str
    parent: str | None
    kind: str
    """root | branch (first turn of an expansion) | turn (a later one)."""
    agent: str | None
    seed: int
    depth: int
    variant: JsonObject | None = field(default=None, metadata=OPTIONAL)


@event("fork")
class Fork(Decided):
    node: str
    origin: str | None = field(default=None, metadata={"name": "from"})


@event("evaluation")
class Evaluated(Decided):
    """`kind`: visible | reproduction | regression | lint | coverage | hidden."""

    node: str
    kind: str
    tests: dict[str, str]
    f2p: Sequence[int] | None  # [passed, total]
    p2p: Sequence[int] | None
    before: Any = None
    after: Any = None
    wall_s: float | None
    valid: bool
    run: Any = None  # What was run of what can reach the change: `solving.check.Evidence.to_json`
    tampering: Sequence[str] = ()
    """Signs that the patch reaches for its judge."""
    special_cases: Sequence[str] = ()
    """What it answers to the very values of the targets, as they expect it."""
    held_back: Sequence[str] = ()
    """Files of the patch that were judged apart: tests and their configuration."""


@event("patch")
class Patched(Decided):
    id: str
    node: str
    text: str
    sha256: str
    normalised_hash: str | None
    files: Sequence[str]
    removed_by_hygiene: Sequence[str] = ()


@event("node_finished")
class NodeFinished(Decided):
    """A node may finish again after an infrastructure failure."""

    node: str
    status: str
    """finished | limit | failed | infrastructure | duplicate."""
    terminal: bool = True
    tips: dict[str, str]
    """Agent → its last message."""
    patch: str | None
    tree_hash: str | None
    reward: JsonObject | None
    critic: JsonObject | None
    """{mean, sd, k, rationale}."""
    verifier: JsonObject | None = field(default=None, metadata=OPTIONAL)
    """{verifier, probability, sd, why}."""
    error: str | None = None


@event("opinion", key=("case",))
class Opined(Event):
    """What a trained verifier said, written the moment it did: it is asked once for the same patch and evidence."""

    case: str
    """Digest of patch and evidence, and of which verifier."""
    verifier: JsonObject


@event("duplicate")
class Duplicate(Decided):
    node: str
    of: str


@event("vote")
class Vote(Decided):
    patch: str
    node: str


@event("rollout", key=("node",))
class RolledOut(Decided):
    """What one expansion returned, written the moment it was done."""

    node: str
    seed: int
    result: JsonObject


@event("assessment", key=("normalised_hash",))
class Assessed(Decided):
    """What the last look at one candidate measured."""

    normalised_hash: str
    evaluation: JsonObject


@event("budget")
class Settled(Decided):
    reserved: JsonObject
    settled: JsonObject
    spent: JsonObject


@event("selected")
class Selected(Decided):
    node: str | None
    patch: str | None
    confidence: float | None
    verified: bool = False
    abstained: bool = False
    reasons: Sequence[str]
    votes: int = 0
