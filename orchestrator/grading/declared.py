"""Declared requirements: what a patch newly requires, read from the build files without running them.

The harness installs the project again once a prediction is applied, so a fix may bring a dependency.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from ...tools.files import locked
from ...tools.git import execute
from ...tools.project.manifest import Manifest, strings
from .installer import Installer
from .interpreter import find_interpreter
from .native import NativeEnvironment, command_env
from .relocate import copy_venv
from .script import changed_files

_BUILD_FILES = ("pyproject.toml", "setup.cfg", "setup.py")


def new_requirements(repository: Path, patch: str, extras: str = "") -> list[str]:
    """Requirements that the build files of `repository` declare with the patch and not without it. Those
    that name an address are left out, and so is everything when the patch does not apply."""
    touched = [name for name in _BUILD_FILES if name in changed_files(patch)]
    if not touched:
        return []
    wanted = [name.strip() for name in extras.split(",") if name.strip()]
    with tempfile.TemporaryDirectory(prefix="declared-") as name:
        scratch, manifest = Path(name), Manifest(repository)
        for file in _BUILD_FILES:
            if text := manifest.text(file):  # never through a link
                (scratch / file).write_text(text, "utf-8")
        before = _declared(scratch, wanted)
        includes = [f"--include={file}" for file in touched]
        if not execute(scratch, "apply", *includes, "-", stdin=patch, env=_ceiling(scratch)).ok:
            return []
        return [item for item in _declared(scratch, wanted) if item not in before]


def _ceiling(scratch: Path) -> dict[str, str]:
    """No repository that the folder happens to lie in."""
    return {"GIT_CEILING_DIRECTORIES": str(scratch.parent)}


def _declared(directory: Path, extras: Iterable[str]) -> list[str]:
    manifest = Manifest(directory)
    arguments = manifest.setup_arguments
    found = [
        *strings(manifest.toml("project", "dependencies")),
        *manifest.cfg(manifest.setup_cfg, "options", "install_requires").splitlines(),
        *strings(arguments.get("install_requires")),
    ]
    optional = arguments.get("extras_require")
    for extra in extras:
        found += strings(manifest.toml("project", "optional-dependencies", extra))
        found += manifest.cfg(manifest.setup_cfg, "options.extras_require", extra).splitlines()
        found += strings(optional.get(extra)) if isinstance(optional, dict) else []
    valid: list[str] = []
    for item in found:
        try:
            requirement = Requirement(item.split("#")[0].strip())
        except InvalidRequirement:
            continue
        if requirement.url is None:
            valid.append(str(requirement))
    return list(dict.fromkeys(valid))


def with_requirements(environment: NativeEnvironment, requirements: list[str]) -> NativeEnvironment:
    """The environment with more packages, in a virtual environment of its own (cached beside it)."""
    key = hashlib.sha256(json.dumps(requirements).encode()).hexdigest()[:12]
    home = environment.directory.with_name(f"{environment.directory.name}-{key}")
    with locked(home.with_name(f"{home.name}.lock")):
        try:
            notes = json.loads((home / "ready.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            copy_venv(environment.venv, home / "venv", {})
            env = command_env(home / "venv", environment.spec)
            interpreter = find_interpreter(environment.spec.python)
            with Installer(home, environment.spec, env, environment.cutoff, interpreter) as installer:
                installer.install(requirements)
            notes = [f"installed, as the patch requires it: {', '.join(requirements)}", *installer.notes]
            (home / "ready.json").write_text(json.dumps(notes))
    return replace(
        environment, own_venv=home / "venv", notes=tuple(dict.fromkeys((*environment.notes, *notes)))
    )
