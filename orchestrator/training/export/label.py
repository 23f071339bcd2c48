"""node_label: whether a candidate is good, and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...record.schema import Evaluation, Trajectory


@dataclass(frozen=True, slots=True)
class Label:
    """Null means that nobody measured it."""

    resolved: bool | None
    """By a valid hidden evaluation."""
    verified: bool | None
    """By the tests that the run itself executed: every target passes and nothing that passed is broken."""
    kinds: tuple[str, ...] | None

    def of(self, only: str) -> bool | None:
        """The label that counts: hidden before executed; with `resolved`, hidden only."""
        if self.resolved is not None or only == "resolved":
            return self.resolved
        return self.verified

    @property
    def source(self) -> str | None:
        if self.resolved is not None:
            return "hidden"
        return "tests" if self.verified is not None else None


def agreed(labels: Sequence[Label]) -> Label:
    """What is true of all of them: good when all known labels are good, bad when all are bad, else unknown."""
    if len(labels) == 1:
        return labels[0]

    def common(values: list[bool | None]) -> bool | None:
        known = {value for value in values if value is not None}
        return known.pop() if len(known) == 1 else None

    return Label(common([one.resolved for one in labels]), common([one.verified for one in labels]), None)


def node_label(record: Trajectory, node: str) -> Label:
    """The last valid evaluation of each kind decides."""
    last: dict[str, Evaluation] = {}
    for found in record.evaluations:
        if found.node == node and found.valid:
            last[found.kind] = found
    hidden = last.get("hidden")
    executed = [last[kind] for kind in ("visible", "reproduction", "regression") if kind in last]
    return Label(
        _passes([hidden]) if hidden is not None else None,
        _passes(executed),
        tuple(sorted(last)) or None,
    )


def _passes(evaluations: list[Evaluation]) -> bool | None:
    """All FAIL_TO_PASS and PASS_TO_PASS of all; null without a FAIL_TO_PASS test, unless something broke."""
    targets = [found.f2p for found in evaluations if found.f2p is not None and found.f2p[1] > 0]
    kept = [found.p2p for found in evaluations if found.p2p is not None]
    if any(passed < total for passed, total in (*targets, *kept)):
        return False
    return True if targets else None
