"""Early stop: when further rollouts are not worth their cost. Judged after each commit, in logical order."""

from __future__ import annotations

from .node import Candidate
from .schedule import budget_short
from .state import State


def stop_reason(state: State) -> str | None:
    """Why to stop now, in plain words; None to go on."""
    config = state.config
    if state.failures_in_a_row >= config.max_infrastructure:
        return f"the infrastructure failed {state.failures_in_a_row} rollouts in a row"
    if config.early_stop:
        for rule in (_agreement, _trusted, _stalled):
            if reason := rule(state):
                return reason
    if state.counted >= config.rollouts and not state.in_flight:
        return "all samples are done"
    if not state.in_flight and (unit := budget_short(state)):
        return f"what is left of the budget ({unit}) is below the median rollout"
    return None


def _agreement(state: State) -> str | None:
    """Two independent trajectories agree: on the same change with nothing measured against it, or each
    with all kept tests green and no regression."""
    green: list[Candidate] = []
    for candidate in state.candidates.values():
        if len(candidate.voters) > 1 and candidate.evaluation.spotless:
            return f"independent trajectories agree on the same change ({', '.join(candidate.votes[:2])})"
        if candidate.evaluation.green:
            green.append(candidate)
    for first in green:
        for second in green:
            if first.root != second.root:
                return f"two independent trajectories pass every kept test ({first.node}, {second.node})"
    return None


def _trusted(state: State) -> str | None:
    config = state.config
    for candidate in state.candidates.values():
        critic, said = candidate.evaluation.critic, candidate.evaluation.verifier
        if said is not None and said.probability is not None:  # calibrated: it is asked before the Critic
            if candidate.evaluation.green and said.lower >= config.critic_threshold:
                return f"{candidate.node} passes every kept test and the verifier's lower bound is {said.lower:.2f}"
            continue
        if critic is None and candidate.evaluation.green and candidate.evaluation.given:
            return f"{candidate.node} passes the tests the repository failed, and no model reviewed it"
        if critic and candidate.evaluation.green:
            lower = critic.lower(config.critic_assumed_sd)
            if lower >= config.critic_threshold:
                return f"{candidate.node} passes every kept test and the Critic's lower bound is {lower:.2f}"
    return None


def _stalled(state: State) -> str | None:
    """`patience` finishes without a better reward, once the roots are done."""
    config = state.config
    if config.patience is None or (config.kind == "tree" and state.roots < config.roots):
        return None
    best, since = -1.0, 0
    for finish in state.finishes:
        if finish.reward is None:
            continue
        if finish.reward > best + 1e-9:
            best, since = finish.reward, 0
        else:
            since += 1
    return f"{since} rollouts in a row without a better one" if since >= config.patience else None
