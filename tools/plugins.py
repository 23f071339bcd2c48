"""Plug-ins: what installed packages offer through entry points of the groups `swe_agent.<kind>`.

Only what is asked for by name is imported: an installed package changes nothing until a flag or a file names what
it offers. Nothing of the repository that is worked on is ever looked at here.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeVar, cast

from .errors import UsageError

Kind = Literal["tools", "roles", "models", "rewards", "benchmarks"]
KINDS: tuple[Kind, ...] = ("tools", "roles", "models", "rewards", "benchmarks")

T = TypeVar("T")


def installed(kind: Kind) -> dict[str, EntryPoint]:
    """Name → entry point, sorted by name. Of several packages with one name the first is here; `load` refuses."""
    return {entry.name: entry for entry in sorted(_found(kind), key=lambda entry: entry.name, reverse=True)}


def load(kind: Kind, name: str, wanted: type[T] | None = None) -> T:
    """What the name stands for. Raises: UsageError when nothing or more than one package offers it, when it
    cannot be imported or is no `wanted`."""
    entries = [entry for entry in _found(kind) if entry.name == name]
    if not entries:
        known = ", ".join(sorted(installed(kind))) or "none"
        raise UsageError(f"no installed package offers {name!r} as swe_agent.{kind} (there is: {known})")
    if len({entry.value for entry in entries}) > 1:
        raise UsageError(f"{kind} {name!r} is offered by several packages: {', '.join(map(origin, entries))}")
    try:
        found = entries[0].load()
    except Exception as error:  # it is somebody else's code
        raise UsageError(
            f"{kind} {name!r} of {origin(entries[0])} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if wanted is not None and not isinstance(found, wanted):
        raise UsageError(
            f"{kind} {name!r} of {origin(entries[0])} is a {type(found).__name__}, not a {wanted.__name__}"
        )
    return cast(T, found)


def origin(entry: EntryPoint) -> str:
    """The package of an entry point, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _found(kind: Kind) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"swe_agent.{kind}"))
