"""image_project: a repository inside a container image, which brings its own environment."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..errors import ProjectError
from ..sandbox import Sandbox
from .manifest import Manifest
from .runners import find_test_command
from .spec import Inference, Project


def image_project(
    repository: Path, sandbox: Sandbox, *, setup: str | None = None, test_cmd: str | None = None
) -> Project:
    """How to run the tests of `repository` with what the image of the open `sandbox` has. `setup` is run in
    the sandbox. Raises: ProjectError when the test runner is not in the image; SandboxError."""
    command, inferences = find_test_command(Manifest(repository.resolve()), test_cmd)
    if setup is not None:
        done = sandbox.exec(setup, timeout=1800)
        if done.exit_code != 0:
            last = " ".join(done.output.strip().splitlines()[-3:])
            raise ProjectError(f"--setup {setup!r} failed in the image (exit {done.exit_code}): {last}")
        inferences = [Inference("setup", setup, "--setup", "--setup"), *inferences]
    found = sandbox.exec("command -v python || command -v python3").output.strip().splitlines()
    python = Path(found[-1]) if found and found[-1].startswith("/") else None
    if test_cmd is None and python is not None and python.name != "python":
        named = re.sub(r"^python(?= )", python.name, command.command)
        inferences = [replace(one, value=one.value.replace(command.command, named)) for one in inferences]
        command = replace(command, command=named)
    if python is None and command.runner != "custom":
        raise ProjectError("the image has no python on its PATH: name another --image, or a --test-cmd")
    if command.runner == "pytest" and sandbox.exec([str(python), "-c", "import pytest"]).exit_code != 0:
        raise ProjectError(
            f"{python} of the image has no pytest: install it with --setup, or name a --test-cmd"
        )
    if python is not None:
        inferences = [Inference("python", str(python), "the image's own", "--image"), *inferences]
    return Project(command, python, inferences=tuple(inferences), root=sandbox.root)
