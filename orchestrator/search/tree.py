"""Tree: the nodes, and what finished rollouts say about each of them."""

from __future__ import annotations

from collections.abc import Iterator

from .config import Weights
from .node import Rollout, SearchNode
from .request import ExpandRequest
from .reward import reward


class Tree:
    """Nodes in the order they were committed, which does not depend on the order work finished in."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: dict[str, SearchNode] = {}
        self.returns: list[float] = []
        """Every measured return, in logical order."""
        self.fresh: list[float] = []
        """Returns of rollouts that began at the base commit."""
        self.pending_roots = 0
        self._next_child: dict[str, int] = {}

    def path(self, node: str | None) -> Iterator[SearchNode]:
        """The node and its ancestors, upwards."""
        while node is not None:
            here = self.nodes[node]
            yield here
            node = here.parent

    def child_id(self, parent: str | None) -> str:
        """A fresh id below `parent`. Index 0 below a node is its own rollout's next turn."""
        key = parent or ""
        index = self._next_child.get(key, 0 if parent is None else 1)
        self._next_child[key] = index + 1
        return f"n{index}" if parent is None else f"{parent}.{index}"

    def dispatched(self, parent: str | None) -> None:
        """Virtual loss: an expansion below `parent` is in flight."""
        if parent is None:
            self.pending_roots += 1
            return
        self.nodes[parent].children += 1
        for node in self.path(parent):
            node.pending += 1

    def returned(self, parent: str | None) -> None:
        if parent is None:
            self.pending_roots -= 1
            return
        for node in self.path(parent):
            node.pending -= 1

    def grow(
        self, request: ExpandRequest, rollout: Rollout, final: float | None, *, solved: bool
    ) -> list[SearchNode]:
        """Add the rollout's turns below its parent. A solved finish is not worth debugging."""
        grown: list[SearchNode] = []
        parent = request.parent
        for turn, step in enumerate(rollout.steps):
            terminal = turn == len(rollout.steps) - 1
            value = final if terminal else reward(step.evaluation, self._weights)
            node = SearchNode(
                id=request.node_at(turn),
                parent=parent,
                root=request.root,
                depth=request.depth + turn,
                kind="turn" if turn else "root" if request.parent is None else "branch",
                step=step,
                terminal=terminal,
                value=value,
                forkable=step.forkable and not (terminal and solved),
                children=0 if terminal else 1,
            )
            self.nodes[node.id] = node
            grown.append(node)
            parent = node.id
        return grown

    def backpropagate(self, node: str | None, value: float, *, fresh: bool) -> None:
        """Give a terminal return to a node and all its ancestors; mean and max are kept."""
        self.returns.append(value)
        if fresh:
            self.fresh.append(value)
        for here in self.path(node):
            here.visits += 1
            here.total += value
            here.best = value if here.best is None else max(here.best, value)
