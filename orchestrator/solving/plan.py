"""CheckPlan: what a check runs, decided before it runs anything, from what is recorded.

A check that was interrupted is carried out again as it was planned: the durations that were learned in between, the
clock and the load of the machine change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ...tools.patch import Patch


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """Of one check of one patch."""

    whole: bool
    """The whole suite is run, in one."""
    parts: tuple[tuple[str, ...], ...] = ()
    """Else these selections of ids and files, in this order; each is one run."""
    budget_s: float = 0.0
    """Seconds that two lanes are expected to need at most."""


def check_key(patch: Patch, targets: Iterable[str], *, final: bool) -> str:
    """What names a check in its run: the patch, the tests of the issue and whether it is the last one."""
    said = json.dumps([patch.sha256, sorted(targets), final])
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:24]


class Plans(Protocol):
    """Where plans are kept between processes. Called from several threads."""

    def recall(self, check: str) -> CheckPlan | None: ...

    def keep(self, check: str, plan: CheckPlan) -> None: ...


class NoPlans:
    """Nothing is kept: for who judges one patch once."""

    def recall(self, check: str) -> CheckPlan | None:
        return None

    def keep(self, check: str, plan: CheckPlan) -> None:
        return None
