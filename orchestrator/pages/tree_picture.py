"""place: where the nodes of a search tree stand in a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

DX, DY = 120, 56
"""Distance between siblings and between levels, in pixels."""


@dataclass(slots=True)
class TreeNode:
    """A node of the search; `step` is where the reader finds it."""

    id: str
    parent: str | None
    agent: str
    status: str = ""
    reward: float | None = None
    selected: bool = False
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A node and its place; `parent_x`, `parent_y` are None for a root."""

    node: TreeNode
    x: int
    y: int
    parent_x: int | None
    parent_y: int | None


def place(nodes: Sequence[TreeNode]) -> list[Placed]:
    """Leaves side by side in order, parents above the middle of their children (Reingold and Tilford's
    rule without contour packing). Nodes whose parent is unknown are roots."""
    ids = {node.id for node in nodes}
    children: dict[str | None, list[TreeNode]] = defaultdict(list)
    for node in nodes:
        children[node.parent if node.parent in ids else None].append(node)
    spots: dict[str, tuple[int, int]] = {}
    column = 0
    stack = [(node, 0, False) for node in reversed(children[None])]
    while stack:
        node, depth, seen = stack.pop()
        below = children[node.id]
        if below and not seen:
            stack.append((node, depth, True))
            stack += [(child, depth + 1, False) for child in reversed(below)]
        elif below:
            xs = [spots[child.id][0] for child in below]
            spots[node.id] = ((xs[0] + xs[-1]) // 2, 30 + depth * DY)
        else:
            spots[node.id] = (60 + column * DX, 30 + depth * DY)
            column += 1
    placed = []
    for node in nodes:
        if node.id not in spots:  # its parents form a circle: no tree
            continue
        x, y = spots[node.id]
        parent = spots.get(node.parent or "", (None, None))
        placed.append(Placed(node, x, y, parent[0], parent[1]))
    return placed
