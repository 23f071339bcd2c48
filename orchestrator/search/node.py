"""The values of the search: steps, rollouts, evaluations, and the nodes of the tree.

A node is one role turn up to an edit and a test run. A rollout is what one expansion returns: a chain
of such turns run to a finish. Its first node gets the id the search chose; each further turn appends
`.0`, so ids are paths (`n0`, `n0.0`, `n0.0.1`) that do not depend on the order in which work ran.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from ...tools.patch import Patch
from .cost import NOTHING, Cost


class Status(StrEnum):
    FINISHED = "finished"
    LIMIT = "limit"
    """A limit cut it; its patch so far counts."""
    FAILED = "failed"
    """The roles gave up or went wrong: data, reward 0 unless it left a patch."""
    INFRASTRUCTURE = "infrastructure"
    """A sandbox or an endpoint failed: says nothing about the candidate, has no reward."""


@dataclass(frozen=True, slots=True)
class CriticScore:
    """Mean and standard deviation over k scores in [0, 1]; sd is None where one score was taken."""

    mean: float
    sd: float | None = None
    k: int = 1
    rationale: str = ""

    def to_json(self) -> dict[str, float | int | str | None]:
        return {"mean": self.mean, "sd": self.sd, "k": self.k, "rationale": self.rationale}

    def lower(self, assumed_sd: float) -> float:
        """One standard deviation below the mean; `assumed_sd` stands in where none was measured."""
        return self.mean - (assumed_sd if self.sd is None else self.sd)


@dataclass(frozen=True, slots=True)
class VerifierScore:
    """What a trained verifier says of a patch."""

    verifier: str
    probability: float | None = None
    """Calibrated, in [0, 1], that the patch is right; None: it abstains."""
    sd: float | None = None
    why: str = ""
    """Why it abstains, or could not be asked."""

    def to_json(self) -> dict[str, float | str | None]:
        return {"verifier": self.verifier, "probability": self.probability, "sd": self.sd, "why": self.why}

    @property
    def lower(self) -> float:
        """One standard deviation below; no opinion is 0."""
        return 0.0 if self.probability is None else self.probability - (self.sd or 0.0)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured about one patch. None or absent means not measured, never zero."""

    applies: bool = True
    parses: bool = True
    reproduction: Mapping[str, bool] = field(default_factory=dict[str, bool])
    """Kept reproduction tests (and visible tests that fail on base and should pass) → passed."""
    broken: tuple[str, ...] | None = None
    """Tests good on base and bad now; None: the regression tests were not run."""
    critic: CriticScore | None = None
    verifier: VerifierScore | None = None
    outcomes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Every test that was run → outcome: the behaviour of the patch as far as it was seen."""
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Failing test → first line of why; shown to siblings."""
    generated: frozenset[str] = frozenset()
    """The reproduction tests that a role wrote: they may be wrong. The others are the repository's own."""
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """Prior weight of a reproduction test (size of its cluster); absent: 1."""
    heard: str = ""
    """What was run of what can reach the change, in words; "": the whole suite, or nobody says."""
    share: float = 1.0
    """Of the test files that can reach the change, how many were run, in [0, 1]."""
    cost: Cost = NOTHING
    wall_s: float | None = None

    @property
    def passed_fraction(self) -> float | None:
        return sum(self.reproduction.values()) / len(self.reproduction) if self.reproduction else None

    @property
    def green(self) -> bool:
        """All kept tests pass, there is at least one, and no regression was found by a run that looked."""
        return self.broken == () and bool(self.reproduction) and self.spotless

    @property
    def sound(self) -> bool:
        return self.applies and self.parses

    @property
    def spotless(self) -> bool:
        """Nothing that was measured speaks against the patch."""
        return self.sound and not self.broken and all(self.reproduction.values())

    @property
    def given(self) -> dict[str, bool]:
        """The reproduction tests that nobody had to guess."""
        return {test: good for test, good in self.reproduction.items() if test not in self.generated}

    @property
    def likelihood(self) -> float | None:
        """The trained verifier's probability; None where it abstains or there is none."""
        return None if self.verifier is None else self.verifier.probability

    def behaviour(self) -> str | None:
        """Hash of the outcome vector; None where no test was run."""
        if not self.outcomes:
            return None
        return digest(*(f"{test}={self.outcomes[test]}" for test in sorted(self.outcomes)))


@dataclass(frozen=True, slots=True)
class Step:
    """A point of a rollout that can be forked: after one turn's edit and test run."""

    tree_hash: str | None = None
    tips: Mapping[str, str] = field(default_factory=dict[str, str])
    """Agent → id of its last message here: what a fork of the conversations starts from."""
    patch: str | None = None
    """Diff against base at this point, so that a later process can rebuild the workspace."""
    evaluation: Measurement | None = None
    """What the turn's own test run (and a Critic, where one looked) measured: the node's value."""
    agent: str | None = None
    forkable: bool = True


@dataclass(frozen=True, slots=True)
class Rollout:
    """What an expansion returns. `steps` are its turns in order, the last one being the finish; a rollout
    without steps cannot be branched from. `evaluation` is what its own checks measured about the patch."""

    status: Status
    patch: Patch | None = None
    tree_hash: str | None = None
    steps: tuple[Step, ...] = ()
    tips: Mapping[str, str] = field(default_factory=dict[str, str])
    cost: Cost = NOTHING
    evaluation: Measurement | None = None
    failures: tuple[str, ...] = ()
    """What went wrong, one line each; shown to siblings besides the failing tests."""
    error: str | None = None
    normalised_hash: str | None = None
    """Filled from the patch when not given."""

    def __post_init__(self) -> None:
        if self.patch is not None and self.patch.is_empty:
            object.__setattr__(self, "patch", None)
        if self.patch is not None and self.normalised_hash is None:
            object.__setattr__(self, "normalised_hash", self.patch.normalised_hash())


@dataclass(slots=True)
class SearchNode:
    """A place of the tree one can branch from, and what is known about it."""

    id: str
    parent: str | None
    root: str
    """The root node of its trajectory: candidates of different roots are independent."""
    depth: int
    kind: str
    """`root`, `branch` (first turn of an expansion) or `turn` (a later one)."""
    step: Step
    terminal: bool
    value: float | None
    """Reward of what the turn itself measured, in [0, 1]."""
    forkable: bool
    visits: int = 0
    total: float = 0.0
    best: float | None = None
    children: int = 0
    """Branches taken from here, in flight ones and the original continuation included."""
    pending: int = 0
    """Expansions in flight here or below: the virtual loss."""

    @property
    def mean(self) -> float | None:
        return self.total / self.visits if self.visits else None


@dataclass(frozen=True)
class Candidate:
    """A distinct patch that some rollout ended with."""

    node: str
    """Id of the node it finished at."""
    root: str
    order: int
    """Number of the expansion that produced it first."""
    patch: Patch
    normalised_hash: str
    evaluation: Measurement
    reward: float | None
    votes: tuple[str, ...] = ()
    """Nodes whose rollouts ended with the same change, its own first."""
    voters: tuple[str, ...] = ()
    """Distinct roots among those: independent votes."""

    @cached_property
    def size(self) -> int:
        """Lines added and removed."""
        return self.patch.added + self.patch.removed


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def seed_of(seed: int, path: str) -> int:
    """31-bit seed of a path: the same whatever ran before it."""
    return int(digest(str(seed), path)[:8], 16) & 0x7FFFFFFF
