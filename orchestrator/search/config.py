"""SearchConfig: every number of the search, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ...tools.errors import UsageError
from .cost import NOTHING, Cost

Kind = Literal["linear", "best-of-n", "tree"]
Proposer = Literal["llm", "offline"]
KINDS: tuple[Kind, ...] = ("linear", "best-of-n", "tree")
PROPOSERS: tuple[Proposer, ...] = ("llm", "offline")


@dataclass(frozen=True, slots=True)
class Weights:
    """Parts of the reward, each component in [0, 1]."""

    reproduction: float = 0.45
    regression: float = 0.35
    critic: float = 0.20
    verifier: float = 0.20


@dataclass(frozen=True, slots=True)
class SearchConfig:
    kind: Kind = "tree"
    samples: int = 8
    """Rollouts at most, all roots and branches together (1 for linear)."""
    roots: int = 3
    """Independent roots before a tree re-branches."""
    restart: float = 0.33
    """Share of a tree's rollouts that are fresh starts however good the prefixes look."""
    width: int = 4
    """Branches taken from one node at most, the original continuation included."""
    window: int = 4
    """Rollouts that may be undecided at once. Part of the result, unlike `workers`."""
    probe: int = 1
    """Rollouts that run alone before the window opens, so that an easy issue costs what linear costs."""
    workers: int = 1
    """Rollouts that run at once on this machine; changes the wall time and nothing else."""
    seed: int = 0
    weights: Weights = field(default_factory=Weights)
    exploration: float = 0.25
    """`c` of the selection formula."""
    child_penalty: float = 0.02
    depth_penalty: float = 0.02
    """Per turn before a prefix: a deeper one passes more tests because more is done, not because it is
    better, and leaves less to decide anew."""
    proposers: tuple[Proposer, ...] = ("llm",)
    limits: Cost = NOTHING
    """What all rollouts and evaluations together may cost."""
    holdback: float = 0.05
    """Part of the limits kept for the final selection."""
    early_stop: bool = True
    critic_threshold: float = 0.75
    """Lower bound of the Critic's score that ends the search on top of green tests."""
    critic_assumed_sd: float = 0.1
    patience: int | None = 6
    """Finishes without a better reward that end the search (the roots must be done); None: never."""
    max_infrastructure: int = 3
    """Infrastructure failures in a row, each already retried, that end the search."""
    retries: int = 1
    """Further attempts at a rollout that the infrastructure failed."""
    confidence_threshold: float = 0.5
    """Below this the result abstains: the patch is kept and not claimed to be right."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"unknown search {self.kind!r}: use one of {', '.join(KINDS)}")
        unknown = [name for name in self.proposers if name not in PROPOSERS]
        if unknown or not self.proposers or len(set(self.proposers)) < len(self.proposers):
            raise UsageError(f"--proposers takes each of {', '.join(PROPOSERS)} at most once")
        for name in ("samples", "roots", "width", "window", "workers"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} must be at least 1")
        if not 0 <= self.holdback < 1:
            raise UsageError("holdback must be at least 0 and below 1")

    @property
    def rollouts(self) -> int:
        return 1 if self.kind == "linear" else self.samples

    def with_workers(self, workers: int) -> SearchConfig:
        return replace(self, workers=workers)
