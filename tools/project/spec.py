"""Project: how to run the tests of a repository, and how that was found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

Runner = Literal["pytest", "unittest", "django", "custom"]


@dataclass(frozen=True, slots=True)
class TestCommand:
    """How the tests are run from the repository's root."""

    __test__ = False

    command: str
    """Shell command for the whole suite (`python -m pytest -q`)."""
    runner: Runner = "custom"
    """How a selection of ids is passed and results are read: pytest and unittest are understood test by
    test; `custom` is read from the JUnit XML at `junit`, else only its exit code counts (one test, id
    `command`)."""
    junit: str | None = None
    """Path or glob, relative to the root, of JUnit XML that the command writes."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Inference:
    """One thing found out instead of being told: printed by `solve`, each with its flag."""

    what: str
    value: str
    why: str
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A repository made ready: interpreter, environment and test command."""

    test_command: TestCommand
    python: Path | None = None
    """Interpreter of the cached environment, visible in the sandbox at the same path; None: not Python."""
    read_only: tuple[Path, ...] = ()
    """Host paths the sandbox must show read-only (environment, base interpreter)."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment of every command (PATH with the environment's bin first, VIRTUAL_ENV, ...)."""
    inferences: tuple[Inference, ...] = ()
    setup_log: str = ""
    root: PurePosixPath | None = None
    """Where the repository was while it was installed; an editable install points there."""
    import_paths: tuple[str, ...] = ()
    """Folders relative to the repository's root that hold its importable packages (`.`, `src`)."""
    artefacts: Path | None = None
    """Tar archive of untracked files that the installation left in the tree (generated version files,
    compiled extensions); `unpack_artefacts` puts them into a fresh workspace."""

    def environment(self, root: PurePosixPath) -> dict[str, str]:
        """`env` for a sandbox whose repository is at `root`. Where that is not the place the repository
        was installed from (the `plain` sandbox), imports are led to `root` through PYTHONPATH."""
        env = dict(self.env)
        if root != self.root and self.import_paths:
            ours = [str(root / path) if path != "." else str(root) for path in self.import_paths]
            kept = [p for p in env.get("PYTHONPATH", "").split(":") if p.startswith("/") and p not in ours]
            env["PYTHONPATH"] = ":".join([*ours, *kept])
        return env

    def shell_environment(self, root: PurePosixPath) -> dict[str, str]:
        """What commands in a workspace at `root`, and in forks of it at other places, need on top of the
        sandbox's environment: import paths relative to the folder a command starts in."""
        if root == self.root or not self.import_paths:
            return {}
        return {"PYTHONPATH": ":".join(self.import_paths)}
