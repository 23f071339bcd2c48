"""What the search asks of the functions it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..record.event import Event
from .config import Proposer
from .cost import Cost
from .node import Candidate, Measurement, Rollout, Step

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Variant:
    """How a root differs from its siblings. Branches inherit the variant of their root."""

    prompt_seed: int
    """0 for the first root, which is the one a linear run makes."""
    temperature: float | None
    """None: the model's default."""
    localisation: str
    """`issue`: start from what the issue names; `tests`: from the failing tests inward;
    `callers`: from the callers of the code the issue names."""
    proposer: Proposer
    rank: int
    """How many earlier roots have the same proposer: a deterministic proposer offers its next patch."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A finished rollout below the same parent, and why it was not enough."""

    node: str
    patch: str
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpandRequest:
    """One rollout to make: fork the parent's workspace and conversations, take a turn, run to a finish."""

    node: str
    """Id of the first turn's node; turn k of the rollout is `node_at(k)`."""
    parent: str | None
    """Node to fork; None: a fresh start from the base commit."""
    parent_step: Step | None
    root: str
    depth: int
    """Depth of `node`; roots have 0."""
    seed: int
    """Derived from the path."""
    variant: Variant
    siblings: tuple[Sibling, ...]
    allowance: Cost
    """What the rollout may cost, its measurement included; None in a unit: no limit."""
    attempt: int = 0

    def node_at(self, turn: int) -> str:
        return self.node + ".0" * turn

    @property
    def agent(self) -> str:
        """Who takes the first turn: the Debugger where there is something to debug."""
        return "coder" if self.parent is None else "debugger"


class Record(Protocol):
    """Where decisions go, and what an earlier process left there; `record.recorder.Recorder` is one."""

    def append(self, event: Event) -> int: ...

    def recall(self, kind: type[E], *name: Any) -> E | None: ...


Expand = Callable[[ExpandRequest], Awaitable[Rollout]]
Judge = Callable[[Sequence[Candidate]], Awaitable[Mapping[str, Measurement]]]
"""Looks once more at all candidates, when the search has ended and there is something to choose between:
candidate's node → its evaluation with whatever further tests say. A candidate left out keeps its own."""
