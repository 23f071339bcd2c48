"""What a running build asks for: a package that no requirement of the project names, found when its import fails."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ...tools.project.manifest import Manifest

_MISSING = re.compile(r"ModuleNotFoundError: No module named '?([A-Za-z_]\w*)")
_QUOTED = re.compile(r"""["']([A-Za-z0-9][^"'\n]{0,200})["']""")
_LINE = re.compile(r"^[ \t]*([A-Za-z0-9].{0,200}?)[ \t]*$", re.MULTILINE)
_FILES = ("setup.py", "setup.cfg", "pyproject.toml")


def missing_requirement(said: str, repository: Path) -> str | None:
    """The requirement, as a build file of `repository` spells it, for the module that a build which said `said` last
    did not find; None when it lacked no module, or one that no build file speaks of (what a repository imports is not
    installed by its name alone: whoever registered that name would choose the code)."""
    found = _MISSING.findall(said)
    if not found:
        return None
    wanted, manifest = canonicalize_name(found[-1]), Manifest(repository)
    for name in _FILES:
        text = manifest.text(name)
        for match in (*_QUOTED.finditer(text), *(_LINE.finditer(text) if name == "setup.cfg" else ())):
            try:
                requirement = Requirement(match[1])
            except InvalidRequirement:
                continue
            if requirement.url is None and canonicalize_name(requirement.name) == wanted:
                return str(requirement)
    return None
