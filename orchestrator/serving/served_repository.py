"""ServedRepository: one checkout made ready once, for tools that other agents call. The checkout is read, never
written; everything runs on forks of a copy."""

from __future__ import annotations

import shutil
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...tools.errors import PatchError
from ...tools.patch import Patch
from ...tools.toolbox.tool import ToolResult
from ..solving.run_directory import cache_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...tools.project.spec import Project
    from ...tools.workspace import Workspace


@dataclass(slots=True)
class ServedRepository:
    """`path` is a checkout; `base` a revision (None: HEAD, looked up at every call)."""

    path: Path
    base: str | None = None
    sandbox: str = "auto"
    setup: str | None = None
    test_cmd: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: dict[str, tuple[Workspace, Project, Path]] = field(default_factory=dict[str, Any])

    def run_tests(self, tests: list[str], patch: str = "") -> ToolResult:
        """Run tests on a fork with `patch`; empty: all of them. Raises: PatchError, ProjectError, SandboxError."""
        return self._call("runTests", {"tests": tests} if tests else {}, patch)

    def search(self, query: str, path: str = "") -> ToolResult:
        """Find text or a definition. Raises: RepositoryError, SandboxError."""
        return self._call("search", {"query": query, **({"path": path} if path else {})}, "")

    def close(self) -> None:
        with self._lock:
            for workspace, _, work in self._open.values():
                workspace.close()
                shutil.rmtree(work, ignore_errors=True)
            self._open.clear()

    def _call(self, name: str, arguments: Mapping[str, object], patch: str) -> ToolResult:
        from ...tools.testing.runner import TestRunner
        from ...tools.toolbox.toolbox import Toolbox

        with self._fork(patch) as (workspace, project), TestRunner(project) as runner:
            return Toolbox(workspace, runner, allowed=[name]).call(name, arguments)

    @contextmanager
    def _fork(self, patch: str) -> Iterator[tuple[Workspace, Project]]:
        with self._lock:
            workspace, project = self._opened()
            fork = workspace.fork()
        try:
            if patch.strip():
                fork.apply(Patch(patch if patch.endswith("\n") else patch + "\n"))
            yield fork, project
        except PatchError as error:
            raise PatchError(f"the patch does not apply on the base commit: {error}") from error
        finally:
            fork.close()

    def _opened(self) -> tuple[Workspace, Project]:
        """The workspace of today's base commit; one that has passed is closed."""
        from ...tools.history import resolve_commit

        commit = resolve_commit(self.path, self.base)
        if commit not in self._open:
            for workspace, _, work in self._open.values():
                workspace.close()
                shutil.rmtree(work, ignore_errors=True)
            self._open = {commit: self._make(commit)}
        workspace, project, _ = self._open[commit]
        return workspace, project

    def _make(self, commit: str) -> tuple[Workspace, Project, Path]:
        from ...tools.history import prepare_repository
        from ...tools.project.opening import Opening, open_workspace

        work = Path(tempfile.mkdtemp(prefix="swe-agent-serving-"))
        try:
            base = prepare_repository(self.path, commit, work / "repository")
            (work / "scratch").mkdir()
            opening = Opening(
                work / "repository", base, work / "scratch", cache_root(), sandbox=self.sandbox,
                setup=self.setup, test_cmd=self.test_cmd,
            )  # fmt: skip
            workspace, project = open_workspace(opening)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        return workspace, project, work
