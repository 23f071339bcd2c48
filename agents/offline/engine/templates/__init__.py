"""Mutation templates by family; `mutants` runs them all over one chunk."""

from __future__ import annotations

from .calls import calls
from .conditions import conditions
from .constants import constants
from .context import Context, Edit
from .ingredients import ingredients
from .names import names, wraps
from .operators import operators
from .statements import insertions, statements
from .subscripts import subscripts

FAMILIES = (
    constants, operators, names, calls, subscripts, wraps, statements, conditions, insertions, ingredients,
)  # fmt: skip


def mutants(ctx: Context) -> list[Edit]:
    """Every mutant of the chunk, in source order; texts are unique, the best prior of equals is kept.

    A failing family never ends the search: templates work on arbitrary source, and one node that a template
    cannot render is one mutant less.
    """
    found: dict[str, Edit] = {}
    for node in ctx.nodes:
        if hasattr(node, "lineno") and not ctx.active(node):
            continue
        for family in FAMILIES:
            try:
                for edit in family(ctx, node):
                    if edit is None or edit.prior <= 0 or edit.text == ctx.chunk.text:
                        continue
                    known = found.get(edit.text)
                    if known is None or edit.prior > known.prior:
                        found[edit.text] = edit
            except (AttributeError, IndexError, TypeError, ValueError, SyntaxError, RecursionError):
                continue
    return list(found.values())


__all__ = ["Context", "Edit", "mutants"]
