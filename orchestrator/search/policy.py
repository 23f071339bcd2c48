"""Which node to branch from next: a UCT rule over finished prefixes (Kocsis & Szepesvari 2006)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .config import SearchConfig
from .node import SearchNode
from .tree import Tree


@dataclass(frozen=True, slots=True)
class RolloutStart:
    """Where the next rollout starts; `parent` None is a fresh start."""

    parent: str | None
    why: str


def score(node: SearchNode, rollouts: int, config: SearchConfig) -> float:
    """`½·mean return + ½·value + c·√(ln(N+1)/(n+v)) − 0.02·children − 0.02·depth`, returns and values in
    [0, 1].

    N: measured rollouts; n: those through the node; v: expansions in flight at or below it (virtual loss).
    Where no value was measured the mean return stands for both.
    """
    mean = node.mean or 0.0
    value = mean if node.value is None else node.value
    spread = math.sqrt(math.log(rollouts + 1) / max(1, node.visits + node.pending))
    penalty = config.child_penalty * node.children + config.depth_penalty * node.depth
    return 0.5 * mean + 0.5 * value + config.exploration * spread - penalty


def restart_score(tree: Tree, config: SearchConfig) -> float:
    """The same rule for a fresh start: what fresh rollouts returned, with their number as n."""
    if not tree.fresh:
        return math.inf
    tried = len(tree.fresh) + tree.pending_roots
    mean = sum(tree.fresh) / len(tree.fresh)
    return mean + config.exploration * math.sqrt(math.log(len(tree.returns) + 1) / tried)


def choose(tree: Tree, config: SearchConfig) -> RolloutStart:
    """The best open node, or a fresh start where that scores higher or no node is open.
    Ties go to the node committed first."""
    restart = restart_score(tree, config)
    best: SearchNode | None = None
    best_score = -math.inf
    for node in tree.nodes.values():
        if node.forkable and node.visits and node.children < config.width:
            value = score(node, len(tree.returns), config)
            if value > best_score:
                best, best_score = node, value
    if best is None:
        return RolloutStart(None, "no finished prefix is open")
    if restart > best_score:
        return RolloutStart(
            None, f"a fresh start scores {restart:.4f}, the best prefix {best.id} {best_score:.4f}"
        )
    return RolloutStart(best.id, f"score {best_score:.4f}, a fresh start {restart:.4f}")
