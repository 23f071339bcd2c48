"""Schedule: what to expand next, read off the logical state alone."""

from __future__ import annotations

from .node import seed_of
from .policy import RolloutStart, choose
from .request import ExpandRequest
from .state import State


def next_choice(state: State) -> RolloutStart | None:
    """Where the next rollout starts; None: not now (wait for the oldest one in flight), or never."""
    config = state.config
    if len(state.in_flight) >= state.window or state.counted >= config.rollouts:
        return None
    if state.failures_in_a_row >= config.max_infrastructure:
        return None
    if budget_short(state):
        return None
    if config.kind != "tree":
        return RolloutStart(None, "independent sample")
    if state.roots < config.roots:
        return RolloutStart(None, "independent root")
    if any(request.parent is None and state.roots <= config.roots for request in state.in_flight):
        return None
    if state.roots < config.restart * (state.counted + 1):
        return RolloutStart(None, "fresh starts keep their share")
    return choose(state.tree, config)


def budget_short(state: State) -> str | None:
    """The unit in which the next allowance is spent out or below the median rollout, or None."""
    allowance = state.allowance()
    if allowance.spent_out:
        return "budget"
    return allowance.short_of(state.typical_cost())


def dispatch(state: State, choice: RolloutStart) -> ExpandRequest:
    """Turn a choice into a request and put it in flight."""
    tree = state.tree
    allowance = state.allowance()
    node = tree.child_id(choice.parent)
    parent = tree.nodes[choice.parent] if choice.parent else None
    root = parent.root if parent else node
    if parent is None:
        state.variants[node] = state.variant()
    request = ExpandRequest(
        node=node,
        parent=choice.parent,
        parent_step=parent.step if parent else None,
        root=root,
        depth=parent.depth + 1 if parent else 0,
        seed=seed_of(state.config.seed, node),
        variant=state.variants[root],
        siblings=state.siblings(choice.parent),
        allowance=allowance,
    )
    tree.dispatched(choice.parent)
    state.in_flight.append(request)
    return request
