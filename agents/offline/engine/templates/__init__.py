"""Mutation templates by family; `mutants` runs them all over one chunk."""

from __future__ import annotations

from typing import NamedTuple

from ..chunk import Change
from .branches import branches
from .calls import calls
from .conditions import conditions
from .constants import constants
from .context import Context, Edit
from .entries import entries
from .exceptions import exceptions
from .indices import indices
from .ingredients import ingredients
from .insertions import insertions
from .names import names, wraps
from .operators import operators
from .siblings import siblings
from .statements import statements
from .subscripts import subscripts
from .texts import texts
from .unused import unused

FAMILIES = (
    constants, operators, names, calls, subscripts, wraps, statements, conditions, insertions, ingredients,
    entries, exceptions, siblings, branches, indices, texts, unused,
)  # fmt: skip
# What is run when a module is imported: tables, defaults, class bodies. Their candidates cost a fresh run each.
AT_IMPORT = (constants, entries, calls, names, operators, subscripts, siblings)
IN_DECORATORS = (constants, entries, subscripts, operators)
_MOST_AT_IMPORT = 600
_READS_UNREAD = 2.5
"""What an edit weighs more that reads a name which the function binds and never reads."""


class Mutant(NamedTuple):
    """One change of a chunk. `line`: of the file, whose suspiciousness multiplies `prior`."""

    change: Change
    template: str
    prior: float
    line: int


def mutants(ctx: Context) -> list[Mutant]:
    """Every mutant of the chunk, in source order; changes are unique, the best prior of equals is kept.

    A failing family never ends the search: templates work on arbitrary source, and one node that a template
    cannot render is one mutant less.
    """
    found: dict[Change, Mutant] = {}
    families = AT_IMPORT if ctx.chunk.whole else FAMILIES
    for node, mine in [*((n, families) for n in ctx.nodes), *((n, IN_DECORATORS) for n in ctx.decorators)]:
        if hasattr(node, "lineno") and not ctx.active(node):
            continue
        for family in mine:
            try:
                for edit in family(ctx, node):
                    if edit is not None and edit.prior > 0 and edit.text != ctx.chunk.text:
                        _keep(found, ctx, edit)
            except (AttributeError, IndexError, TypeError, ValueError, SyntaxError, RecursionError):
                continue
    if ctx.chunk.whole:
        return sorted(found.values(), key=lambda m: (-m.prior, m.line, m.change))[:_MOST_AT_IMPORT]
    return list(found.values())


def _keep(found: dict[Change, Mutant], ctx: Context, edit: Edit) -> None:
    change = ctx.chunk.changed(edit.text)
    prior = edit.prior
    if ctx.usage.unread and _reads_unread(ctx, change):
        prior *= _READS_UNREAD
    known = found.get(change)
    if known is None or prior > known.prior:
        found[change] = Mutant(change, edit.template, prior, edit.line)


def _reads_unread(ctx: Context, change: Change) -> bool:
    old = ctx.chunk.data[change.start : change.end].decode("utf-8", "surrogateescape")
    return any(change.new.count(name) > old.count(name) for name in ctx.usage.unread)


__all__ = ["Context", "Edit", "Mutant", "mutants"]
