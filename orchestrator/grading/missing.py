"""What a running build asks for: a package that its requirements lack, found when the build stops for want of it."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ...tools.project.manifest import Manifest

_MISSING = re.compile(
    r"ModuleNotFoundError: No module named '?(\w+)|\b([A-Za-z][\w.-]*) (?:must|needs to) be installed\b"
    r"|\b([A-Za-z][\w.-]*) is (?:required|needed) to\b|\b[Pp]lease install ([A-Za-z][\w.-]*)"
)
"""How Python says it, and how build scripts do."""
_CYTHON = re.compile(r"Error compiling Cython file|Cython\.Compiler\.Errors\.CompileError")
_OLD_CYTHON = "cython<3"
"""For sources that the pinned Cython 3 does not compile: they are of the time before it."""
_QUOTED = re.compile(r"""["']([A-Za-z0-9][^"'\n]{0,200})["']""")
_LINE = re.compile(r"^[ \t]*([A-Za-z0-9].{0,200}?)[ \t]*$", re.MULTILINE)
_FILES = ("setup.py", "setup.cfg", "pyproject.toml")


def missing_requirement(said: str, repository: Path) -> str | None:
    """The requirement, as a build file of `repository` spells it, for the package that a build which said `said` did not
    find; None when it lacked none, or one that no build file requires (what a repository imports is not installed by
    its name alone: whoever registered that name would choose the code). What is said last counts most. An older Cython
    is what sources lack that the present one does not compile."""
    if _CYTHON.search(said):
        return _OLD_CYTHON
    named = [canonicalize_name(next(filter(None, match.groups()))) for match in _MISSING.finditer(said)]
    known = _requirements(Manifest(repository)) if named else {}
    return next((known[name] for name in reversed(named) if name in known), None)


def _requirements(manifest: Manifest) -> dict[str, str]:
    """By normalised name, what the build files name as requirements: in quotes, or in a line of setup.cfg."""
    found: dict[str, str] = {}
    for name in _FILES:
        text = manifest.text(name)
        for match in (*_QUOTED.finditer(text), *(_LINE.finditer(text) if name == "setup.cfg" else ())):
            try:
                requirement = Requirement(match[1])
            except InvalidRequirement:
                continue
            if requirement.url is None:
                found.setdefault(canonicalize_name(requirement.name), str(requirement))
    return found
