"""Layers: virtual environments with the packages of a specification, without the project.

The instances of a version share them: an environment begins as a copy of its layer, never as links to it: what
is installed later could write through those. A layer
is found by the sha256 of what shapes it and is complete once `layer.json` is there. Agents and graders
have layers of their own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ...tools.files import locked, write_atomically
from ...tools.project.interpreters import Interpreter
from .installer import Installer, leaving_only_the_log
from .relocate import copy_venv
from .spec import EnvironmentSpec

_SCHEMA = 4


def copy_layer(
    layers: Path,
    destination: Path,
    make: Callable[[Path], Installer],
    interpreter: Interpreter,
    requirements: Sequence[str],
    purpose: str,
) -> tuple[str, ...]:
    """Put a copy of the layer at `destination`, building it with `make(directory)` where it is not there
    yet. Returns the notes of its build. Raises: ProjectError when it cannot be built."""
    installer = make(layers)
    key = _key(installer.spec, interpreter, requirements, installer.cutoff, purpose)
    directory = layers / key[:20]
    layers.mkdir(parents=True, exist_ok=True)
    with locked(layers / f"{directory.name}.lock"):
        try:
            notes = json.loads((directory / "layer.json").read_text())["notes"]
        except (OSError, ValueError):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            installer = make(directory)
            with leaving_only_the_log(directory):
                _fill(installer, requirements)
            notes = installer.notes
            write_atomically(directory / "layer.json", json.dumps({"notes": notes}))
    copy_venv(directory / "venv", destination, {})
    return tuple(notes)


def _fill(installer: Installer, requirements: Sequence[str]) -> None:
    spec = installer.spec
    installer.make_venv()
    with installer:
        installer.seed()
        if spec.freeze:
            installer.install(spec.freeze.splitlines(), "--no-deps")
        installer.install(requirements)
        installer.install(spec.packages)
        installer.install(spec.pip)


def _key(
    spec: EnvironmentSpec,
    interpreter: Interpreter,
    requirements: Sequence[str],
    cutoff: str | None,
    purpose: str,
) -> str:
    # what comes after the packages shapes no layer
    shaping = replace(spec, test="", parser="", pre_install=(), extras="", system=(), env={})
    parts = {
        "schema": _SCHEMA,
        "purpose": purpose,
        "python": [str(interpreter.path), *interpreter.release],
        "spec": asdict(shaping),
        "requirements": list(requirements),
        "cutoff": cutoff,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
