"""recompute: the rewards of a recorded run under another specification, without running anything."""

from __future__ import annotations

from ....tools.audit import KINDS
from ....tools.hygiene import WEAKENS
from ...record.build import backpropagate
from ...record.invariants import REWARD_LAWS, check
from ...record.schema import Evaluation, Node, PatchEntry, Trajectory
from ..imports.merge import IMPORTED
from .function import RewardFunction
from .shaped import Measurements, shaped_reward
from .spec import RewardSpec


def recompute(record: Trajectory, reward: RewardSpec | RewardFunction | None = None) -> Trajectory:
    """A copy of the record with the reward of each finished node, and visits and values that follow from
    them. Infrastructure failures keep no reward. Raises: UsageError when a function of the caller's fails."""
    reward = reward or RewardSpec()
    spec = reward if isinstance(reward, RewardSpec) else RewardSpec()
    fresh = record.model_copy(update={"nodes": [node.model_copy() for node in record.nodes]})
    for node in fresh.nodes:
        node.visits = node.value = None
        if node.exit_status is None or node.exit_status == "infrastructure" or not node.terminal:
            node.reward = None
        else:
            measured = measurements(fresh, node, spec)
            node.reward = (
                shaped_reward(measured, reward) if isinstance(reward, RewardSpec) else reward.reward(measured)
            )
    backpropagate(fresh.nodes)
    check(fresh, REWARD_LAWS)
    return fresh


def measurements(record: Trajectory, node: Node, spec: RewardSpec) -> Measurements:
    """What the record says about one node."""
    measured_as = node.duplicate_of or node.id
    last: dict[str, Evaluation] = {}
    for found in record.evaluations:
        if found.node == measured_as and found.valid:
            last[found.kind] = found
    executed = [last[kind] for kind in ("visible", "reproduction", "regression") if kind in last]
    hidden = [last["hidden"]] if "hidden" in last else []
    tests = {"hidden": hidden, "executed": executed, "best": hidden or executed}[spec.tests]
    targets = [found.f2p for found in tests if found.f2p is not None and found.f2p[1] > 0]
    kept = [found.p2p for found in tests if found.p2p is not None]
    patch = next((item for item in record.patches if item.id == node.patch), None)
    total = sum(pair[1] for pair in targets)
    # FAIL_TO_PASS tests fail on the base commit by definition, so without a change none passes. Of a run that was
    # imported, no patch means that its file holds none, not that there was none.
    empty = node.kind != IMPORTED and (patch is None or not patch.text.strip())
    return Measurements(
        pass_rate=sum(pair[0] for pair in targets) / total if total else 0.0 if empty else None,
        coverage_change=_change(last.get("coverage")),
        lint_findings=_findings(last.get("lint")),
        wall_s=_path_s(record, node),
        regressions=sum(pair[1] - pair[0] for pair in kept) if kept else None,
        protected_edits=_protected(patch) if patch is not None else None,
        leaks=sum(flag.partition(":")[0] in KINDS for flag in node.flags) if node.flags else None,
    )


def _protected(patch: PatchEntry) -> int:
    """Changes to protected files and weakened tests: hygiene took them out (`path: reason`)."""
    return sum(entry.rpartition(": ")[2] in WEAKENS for entry in patch.removed_by_hygiene)


def _path_s(record: Trajectory, node: Node) -> float | None:
    """Seconds of the nodes from the root to this one; None where one was not measured."""
    by_id = {item.id: item for item in record.nodes}
    spent: list[float | None] = []
    at: Node | None = node
    while at is not None:
        spent.append(at.wall_s)
        at = by_id.get(at.parent or "")
    known = [seconds for seconds in spent if seconds is not None]
    return sum(known) if len(known) == len(spent) else None


def _change(found: Evaluation | None) -> float | None:
    if found is None or not isinstance(found.before, int | float) or not isinstance(found.after, int | float):
        return None
    return found.after - found.before


def _findings(found: Evaluation | None) -> int | None:
    if found is None or not isinstance(found.after, int | float):
        return None
    before = found.before if isinstance(found.before, int | float) else 0
    return max(0, round(found.after - before))
