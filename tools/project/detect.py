"""detect_project: what `prepare_project` would find out, without building anything."""

from __future__ import annotations

from pathlib import Path

from .interpreters import choose
from .manifest import Manifest
from .prepare import is_python
from .requirements import find_requirements
from .runners import find_test_command
from .spec import Inference


def detect_project(
    repository: Path, *, python: str | None = None, setup: str | None = None, test_cmd: str | None = None
) -> list[Inference]:
    """The inferences alone; nothing is run or written. Raises: ProjectError naming the flag that helps."""
    manifest = Manifest(repository.resolve())
    command, inferences = find_test_command(manifest, test_cmd)
    if not is_python(manifest, command):
        return inferences
    _, said = choose(manifest, python)
    if setup is not None:
        return [
            *said,
            Inference("setup", setup, "--setup replaces the automatic installation", "--setup"),
            *inferences,
        ]
    return [*said, *find_requirements(manifest, runner=command.runner).inferences, *inferences]
