"""Poetry's dependency tables as requirement strings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .manifest import strings


def poetry_requirements(table: Any) -> list[str]:
    """Poetry's dependency table as requirement strings; path and git dependencies are left out."""
    names: list[str] = []
    for name, value in table.items() if isinstance(table, Mapping) else ():
        constraint: Any = value
        extras = marker = ""
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            constraint = {}
        if isinstance(constraint, Mapping):
            if any(key in constraint for key in ("path", "git", "url")) or constraint.get("optional"):
                continue
            extras = f"[{','.join(strings(constraint.get('extras')))}]" if constraint.get("extras") else ""
            marker = f"; {constraint['markers']}" if isinstance(constraint.get("markers"), str) else ""
            constraint = constraint.get("version", "*")
        if name != "python" and isinstance(constraint, str):
            names.append(f"{name}{extras}{_poetry_range(constraint)}{marker}")
    return names


def _poetry_range(text: str) -> str:
    """`^1.2`, `~1.2`, `1.*`, `*` as PEP 440 specifiers (python-poetry.org/docs/dependency-specification)."""
    parts: list[str] = []
    for part in (p.strip() for p in text.split(",")):
        if part in ("", "*"):
            continue
        match = re.fullmatch(r"([\^~])\s*(\d+(?:\.\d+)*)(.*)", part)
        if match:
            numbers = [int(n) for n in match[2].split(".")]
            if match[1] == "~":
                at = min(1, len(numbers) - 1)
            else:
                at = next((i for i, n in enumerate(numbers) if n), len(numbers) - 1)
            upper = [*numbers[:at], numbers[at] + 1]
            parts += [f">={match[2]}{match[3]}", f"<{'.'.join(map(str, upper))}"]
        elif re.match(r"\d", part):
            parts.append(f"=={part}")
        elif "||" not in part:
            parts.append(part)
    return ",".join(parts)
