"""Constraints: the pins of a specification, to hold in every step of a build."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .spec import EnvironmentSpec

_NAME = re.compile(r"[\[=<>!~ ;@]")
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([\w.]+)$")
_LEGACY = re.compile(r"([A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?)\s*([<>=!~][^;]*)(;.*)?")
_WHEELS = {("numpy", "1.19.2"): "1.19.3", ("scipy", "1.5.2"): "1.5.4"}
"""Pins without a wheel for Python 3.9, which conda has, and the first release of their series with one: a build
from source takes minutes and needs a Fortran compiler."""
_UNHAD = re.compile(
    r"Because ([\w.-]+) was not found in the package registry|Failed to (?:download and )?build `([\w.-]+)"
    r"|No matching distribution found for ([\w.-]+)|Failed building wheel for ([\w.-]+)"
)
"""How uv and pip name what no index has, and what cannot be built."""
_CYTHON_3 = (1, 25)
"""NumPy's first release of the time of Cython 3: sources of a time before do not compile with it."""


def constraints_of(spec: EnvironmentSpec) -> list[str]:
    """`name==version` of every exact pin, the last of a name counting; and `cython<3` beside an older NumPy."""
    pins: dict[str, str] = {}
    for item in with_wheels([*spec.packages, *spec.pip], spec.python)[0]:
        if found := _PIN.fullmatch(item.strip()):
            pins[found[1].lower().replace("_", "-")] = found[2]
    lines = [f"{name}=={version}" for name, version in pins.items()]
    if "cython" not in pins and "numpy" in pins and _numbers(pins["numpy"]) < _CYTHON_3:
        lines.append("cython<3")
    return lines


def with_wheels(requirements: Sequence[str], python: str) -> tuple[list[str], list[str]]:
    """Requirements with pins that have a wheel for this Python, and a note for each that was changed."""
    if _numbers(python) < (3, 9):
        return list(requirements), []
    lines: list[str] = []
    notes: list[str] = []
    for item in requirements:
        found = _PIN.fullmatch(item.strip())
        other = _WHEELS.get((found[1].lower(), found[2])) if found else None
        if found and other:
            notes.append(f"{found[1]} {other} instead of {found[2]}, which has no wheel for Python {python}")
            item = f"{found[1]}=={other}"
        lines.append(item)
    return lines, notes


def readable(requirements: Sequence[str]) -> tuple[list[str], list[str]]:
    """Requirements without versions of the time before PEP 440 (`pytz > dev`), at which installers of today give up
    on the whole list; and a note for each."""
    lines: list[str] = []
    notes: list[str] = []
    for item in requirements:
        found = _LEGACY.fullmatch(item.strip())
        if found and not _valid(item) and _valid(bare := f"{found[1]}{found[3] or ''}"):
            notes.append(f"{found[1]} without {found[2].strip()!r}, which is no version of today")
            item = bare
        lines.append(item)
    return lines, notes


def name_of(requirement: str) -> str:
    """Its normalised name (PEP 503)."""
    return canonicalize_name(_NAME.split(requirement.strip(), maxsplit=1)[0])


def culprit_of(output: str, requirements: Sequence[str]) -> str | None:
    """The requirement of a list for which alone, as an installer's output says, the list cannot be installed."""
    found = _UNHAD.search(output)
    name = canonicalize_name(next(filter(None, found.groups()))) if found else ""
    named = [item for item in requirements if name_of(item) == name]
    return named[0] if len(named) == 1 and len(requirements) > 1 else None


def _valid(requirement: str) -> bool:
    try:
        Requirement(requirement)
    except InvalidRequirement:
        return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
