"""Mutation templates by family; `mutants` runs them all over one chunk."""

from __future__ import annotations

from .branches import branches
from .calls import calls
from .conditions import conditions
from .constants import constants
from .context import Context, Edit
from .entries import entries
from .exceptions import exceptions
from .indices import indices
from .ingredients import ingredients
from .names import names, wraps
from .operators import operators
from .siblings import siblings
from .statements import insertions, statements
from .subscripts import subscripts

FAMILIES = (
    constants, operators, names, calls, subscripts, wraps, statements, conditions, insertions, ingredients,
    entries, exceptions, siblings, branches, indices,
)  # fmt: skip
# What is run when a module is imported: tables, defaults, class bodies. Their candidates cost a fresh run each.
AT_IMPORT = (constants, entries, calls, names, operators, subscripts, siblings)
IN_DECORATORS = (constants, entries, subscripts, operators)
_MOST_AT_IMPORT = 600
_READS_UNREAD = 2.5
"""What an edit weighs more that reads a name which the function binds and never reads."""


def mutants(ctx: Context) -> list[Edit]:
    """Every mutant of the chunk, in source order; texts are unique, the best prior of equals is kept.

    A failing family never ends the search: templates work on arbitrary source, and one node that a template
    cannot render is one mutant less.
    """
    found: dict[str, Edit] = {}
    families = AT_IMPORT if ctx.chunk.whole else FAMILIES
    for node, mine in [*((n, families) for n in ctx.nodes), *((n, IN_DECORATORS) for n in ctx.decorators)]:
        if hasattr(node, "lineno") and not ctx.active(node):
            continue
        for family in mine:
            try:
                for edit in family(ctx, node):
                    if edit is None or edit.prior <= 0 or edit.text == ctx.chunk.text:
                        continue
                    if ctx.usage.unread and _reads_unread(ctx, edit.text):
                        edit = edit._replace(prior=_READS_UNREAD * edit.prior)
                    known = found.get(edit.text)
                    if known is None or edit.prior > known.prior:
                        found[edit.text] = edit
            except (AttributeError, IndexError, TypeError, ValueError, SyntaxError, RecursionError):
                continue
    if ctx.chunk.whole:
        return sorted(found.values(), key=lambda edit: (-edit.prior, edit.line, edit.text))[:_MOST_AT_IMPORT]
    return list(found.values())


def _reads_unread(ctx: Context, text: str) -> bool:
    return any(text.count(name) > ctx.chunk.text.count(name) for name in ctx.usage.unread)


__all__ = ["Context", "Edit", "mutants"]
