"""Adaptations at test time: what official images give for free and a native sandbox does not."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ...tools.files import read_below
from ...tools.sandbox import DEFAULT_ROOT, Sandbox, open_sandbox
from .httpbin import Httpbin, prepare_httpbin, wants_httpbin
from .native import NativeEnvironment, command_env
from .relocate import copy_venv
from .script import source_files

_MOST_SOURCE = 4 << 20
_TOX_LINKS = """
tox --current-env -e{name} --notest >/dev/null 2>&1
for link in .tox/{name}/bin/python*; do
  rm -f "$link"; printf '#!/bin/sh\\nexec "{python}" "$@"\\n' > "$link"; chmod +x "$link"
done
"""
"""tox links its interpreter into .tox; a link to a virtual environment's python is the bare interpreter,
a wrapper that executes it is not."""


@contextmanager
def open_for_tests(
    environment: NativeEnvironment, kind: str, scratch: Path, *, label: str, visible: Sequence[Path] = ()
) -> Iterator[Sandbox]:
    """A sandbox in which the environment works. Where the repository cannot be shown at /testbed
    (`plain`), a private copy of the virtual environment points to where it is. `visible` are further
    paths shown read-only."""
    scratch.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="grade-", dir=scratch))
    try:
        spec = environment.sandbox_spec(home, label=label)
        spec = replace(spec, read_only=tuple(dict.fromkeys((*spec.read_only, *visible))))
        if kind != "plain":
            with open_sandbox(kind, spec) as sandbox:
                if sandbox.root == DEFAULT_ROOT:
                    yield sandbox
                    return
        venv = home / "venv"
        # the path of a plain sandbox is not known before it is open: open it with the copy's variables
        spec = replace(spec, env=command_env(venv, environment.spec))
        with open_sandbox("plain", spec) as sandbox:
            copy_venv(environment.venv, venv, {str(DEFAULT_ROOT): str(sandbox.root)})
            yield sandbox
    finally:
        shutil.rmtree(home, ignore_errors=True)


def httpbin_for(environment: NativeEnvironment, test_patch: str) -> Httpbin | None:
    """The httpbin that the changed test files need; None when they need none or it cannot be had."""
    sources = [test_patch]
    for name in source_files(test_patch):
        found = read_below(environment.repository, name, _MOST_SOURCE)
        sources.append((found or b"").decode("utf-8", "replace"))
    return prepare_httpbin(environment.directory.parent) if wants_httpbin(sources) else None


def before_tests(sandbox: Sandbox, environment: NativeEnvironment, command: str) -> str:
    """Prepare the sandbox for the test command, and return the command as it is to be run."""
    words = command.split()
    if words[:2] == ["tox", "--current-env"]:
        name = next((word.removeprefix("-e") for word in words if word.startswith("-e")), "py")
        python = sandbox.exec("command -v python").output.strip()
        sandbox.exec(_TOX_LINKS.format(name=name, python=python), timeout=300)
    return command
