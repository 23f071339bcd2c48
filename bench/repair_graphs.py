"""Random graphs and linked lists for the programs of QuixBugs that take nodes instead of JSON values."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any


class Node:
    """What those programs expect of a node."""

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.successor: Node | None = None
        self.successors: list[Node] = []
        self.predecessors: list[Node] = []
        self.incoming_nodes: list[Node] = []
        self.outgoing_nodes: list[Node] = []

    def __repr__(self) -> str:
        return f"Node({self.value})"


def arguments(program: str, seed: int) -> tuple[Any, ...]:
    """Arguments for one call; the same seed builds an equal graph of new nodes."""
    rng = random.Random(seed)
    count = rng.randint(1, 6)
    names = [chr(ord("A") + i) for i in range(count)]
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    if program in ("breadth_first_search", "depth_first_search"):
        nodes = [Node(name) for name in names]
        for node in nodes:
            node.successors = rng.sample(nodes, rng.randint(0, min(3, count)))
        return rng.choice(nodes), rng.choice([*nodes, Node("far")])
    if program in ("detect_cycle", "reverse_linked_list"):
        nodes = [Node(name) for name in names]
        for one, two in pairwise(nodes):
            one.successor = two
        if program == "detect_cycle" and rng.random() < 0.5:
            nodes[-1].successor = rng.choice(nodes)
        return (nodes[0] if program == "detect_cycle" or rng.random() < 0.9 else None,)
    if program == "topological_ordering":
        nodes = [Node(name) for name in names]
        for a, b in pairs:
            if a < b and rng.random() < 0.4:
                nodes[a].outgoing_nodes.append(nodes[b])
                nodes[b].incoming_nodes.append(nodes[a])
        rng.shuffle(nodes)
        return (nodes,)
    if program == "minimum_spanning_tree":
        weights = rng.sample(range(1, 60), len(pairs)) if pairs else []
        edges = {(a + 1, b + 1): w for (a, b), w in zip(pairs, weights, strict=True) if a < b}
        return (edges,)
    if program == "shortest_path_length":
        nodes = [Node(name) for name in names]
        lengths = {}
        for a, b in pairs:
            if rng.random() < 0.5:
                nodes[a].successors.append(nodes[b])
                lengths[nodes[a], nodes[b]] = rng.randint(1, 9)
        return lengths, nodes[0], rng.choice(nodes)
    if program == "shortest_path_lengths":
        lengths = {
            (a, b): rng.randint(1 if a > b else -2, 9)
            for a, b in pairs
            if rng.random() < 0.5 and (a < b or rng.random() < 0.3)
        }
        lengths = {edge: max(1, w) if any(a > b for a, b in lengths) else w for edge, w in lengths.items()}
        return count, lengths
    if program == "shortest_paths":
        edges = {(names[a], names[b]): rng.randint(1, 9) for a, b in pairs if rng.random() < 0.5}
        return names[0], edges
    raise ValueError(program)


def plain(value: Any) -> Any:
    """A result without node identities, for comparison between two builds of a graph."""
    if isinstance(value, Node) or type(value).__name__ == "Node":
        chain, seen = [], set()
        node = value
        while node is not None and id(node) not in seen:
            seen.add(id(node))
            chain.append(node.value)
            node = node.successor
        return ("chain", chain)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [v.value if type(v).__name__ == "Node" else plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(plain(v)) for v in value)
    return value
