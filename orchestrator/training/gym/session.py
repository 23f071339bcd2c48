"""IssueSession: one episode on one issue over the real workspace and tools.

It is the object behind both interfaces: `IssueEnv` steps it for Gymnasium, and TRL's
`GRPOTrainer(environment_factory=...)` uses it as it is: its public methods are the tools, `reset` takes a row
of the `grpo` export, `get_reward` scores the episode.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ....tools.errors import UsageError
from ....tools.patch import Patch
from ....tools.testing.report import Comparison, TestReport, compare
from ....tools.testing.test_files import is_test_file
from ....tools.toolbox.tool import ToolResult
from ....tools.toolbox.toolbox import NAMES, Toolbox
from ....tools.workspace import Workspace
from ..rewards.shaped import Measurements, shaped_reward
from .task import IssueTask, PreparedTask, prepared

SUBMIT = "submit"
ACTIONS = (*NAMES, SUBMIT)
"""What a policy can do, in the order of the action space."""
OUTPUT_CHARS = 20_000
_SECONDS = re.compile(r"\b\d+(?:\.\d+)? ?(?:s|ms|sec|seconds?)\b")


class IssueSession:
    """Made with a default task, or without one: then `reset` must name it."""

    def __init__(
        self, task: IssueTask | None = None, *, max_steps: int = 50, repositories: Path | None = None
    ) -> None:
        """`repositories` is a folder of checkouts, by name (`flask`) or owner and name (`pallets/flask`): records
        name a repository, not where it lies."""
        self._default = task
        self._task = task
        self._max_steps = max_steps
        self._repositories = repositories
        self._prepared: PreparedTask | None = None
        self._workspace: Workspace | None = None
        self._toolbox: Toolbox | None = None
        self._left = max_steps
        self._submitted = False
        self._rate = 0.0
        self._potential = 0.0
        self._graded: float | None = None

    def reset(self, **row: Any) -> str | None:
        """Begin a new episode. A row may hold repository, base_commit, problem_statement, instance_id and
        fail_to_pass. Returns the issue, or None when the row's own prompt says it already."""
        self._close()
        self._task = self._task_of(row)
        self._prepared = prepared(self._task)
        self._workspace = self._prepared.base.fork()
        self._toolbox = Toolbox(
            self._workspace,
            self._prepared.runner(),
            allowed=NAMES,
            may_write=lambda path: not is_test_file(path) or self._is_new(path),
        )
        self._left, self._submitted, self._graded = self._max_steps, False, None
        good = self._prepared.baseline.passing
        self._rate = self._potential = len(self._prepared.targets & good) / len(self._prepared.targets)
        return None if "prompt" in row else self._task.issue

    def readFile(self, path: str, startLine: int = 1, endLine: int = 400) -> str:
        """Read a text file of the repository, with line numbers.

        Args:
            path: Path relative to the repository's root.
            startLine: First line, from 1.
            endLine: Last line, inclusive.

        Returns:
            The numbered lines.
        """
        return self._act("readFile", {"path": path, "startLine": startLine, "endLine": endLine}).text

    def search(self, query: str, mode: str = "text", path: str = "") -> str:
        """Search the files of the repository.

        Args:
            query: What to look for; one line.
            mode: text, regex or symbol.
            path: Directory or file to search; everywhere if empty.

        Returns:
            The places found, most relevant first.
        """
        return self._act("search", {"query": query, "mode": mode, **({"path": path} if path else {})}).text

    def findFiles(self, pattern: str) -> str:
        """Find files by name.

        Args:
            pattern: A glob, for example *.toml or src/**/io_*.py.

        Returns:
            The paths found.
        """
        return self._act("findFiles", {"pattern": pattern}).text

    def fileMap(self, path: str = "") -> str:
        """Outline a file (signatures with their lines) or a directory.

        Args:
            path: File or directory; the root if empty.

        Returns:
            The outline.
        """
        return self._act("fileMap", {"path": path} if path else {}).text

    def editFile(self, path: str, oldText: str, newText: str) -> str:
        """Replace exact text in a file. The old text must occur exactly once.

        Args:
            path: Path relative to the repository's root.
            oldText: Text to replace.
            newText: Text to put there.

        Returns:
            What was changed, or why nothing was.
        """
        edits = [{"oldText": oldText, "newText": newText}]
        return self._act("editFile", {"path": path, "edits": edits}).text

    def writeFile(self, path: str, content: str) -> str:
        """Create a file, or replace its whole contents.

        Args:
            path: Path relative to the repository's root.
            content: The whole new contents.

        Returns:
            What was written, or why nothing was.
        """
        return self._act("writeFile", {"path": path, "content": content}).text

    def undo(self) -> str:
        """Take back the last writeFile or editFile.

        Returns:
            What was taken back.
        """
        return self._act("undo", {}).text

    def runTests(self, tests: list[str] | None = None) -> str:
        """Run the tests of the repository.

        Args:
            tests: Test ids or test files; all tests if absent.

        Returns:
            What changed against the unmodified repository, and the failures.
        """
        return self._act("runTests", {"tests": tests} if tests else {}).text

    def shell(self, command: str) -> str:
        """Run one shell command at the root of the repository.

        Args:
            command: A bash command line.

        Returns:
            Its output and exit code.
        """
        return self._act("shell", {"command": command}).text

    def diff(self) -> str:
        """Show everything that differs from the base commit.

        Returns:
            The diff.
        """
        return self._act("diff", {}).text

    def submit(self) -> str:
        """End the work: the change as it stands is graded. Nothing after it counts.

        Returns:
            That the work was submitted.
        """
        return self._act(SUBMIT, {}).text

    def get_reward(self) -> float:
        """The reward of the working tree as it stands: the share of the deciding tests that pass, capped at
        0 when a test broke or an existing test was edited. Measured once after the last action."""
        if self._graded is None:
            self._graded = self._grade()
        return self._graded

    def _act(self, tool: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Carry out one action; after the end nothing happens any more. Raises: SandboxError."""
        if self._toolbox is None:
            raise UsageError("reset the environment before the first action")
        if self._submitted or self._left <= 0:
            return ToolResult("The work is over; this call did nothing.", ok=False)
        self._left -= 1
        self._graded = None
        if tool == SUBMIT:
            self._submitted = True
            return ToolResult("Submitted.")
        result = self._toolbox.call(tool, arguments)
        report, comparison = result.data.get("report"), result.data.get("comparison")
        if (
            isinstance(report, TestReport)
            and isinstance(comparison, Comparison)
            and not result.data["selection"]
        ):
            self._saw(report, comparison)
        return ToolResult(_SECONDS.sub("- s", result.text)[:OUTPUT_CHARS], result.ok, result.data)

    def _saw(self, report: TestReport, comparison: Comparison) -> None:
        assert self._prepared is not None
        self._rate = len(self._prepared.targets & report.passing) / len(self._prepared.targets)
        self._potential = 0.0 if comparison.broken else self._rate

    def _grade(self) -> float:
        assert self._prepared is not None
        assert self._workspace is not None
        assert self._task is not None
        targets = self._prepared.targets
        with self._workspace.fork() as fork:
            patch = fork.diff()
            edited = [path for path in patch.files if not self._is_new(path)] if not patch.is_empty else []
            if self._task.test_patch:
                fork.apply(Patch(self._task.test_patch))
            report = self._prepared.runner().run(fork, cold=True)
        broken = compare(self._prepared.baseline, report).broken - targets
        self._rate = len(targets & report.passing) / len(targets)
        measured = Measurements(
            pass_rate=self._rate,
            regressions=len(broken),
            protected_edits=sum(is_test_file(path) for path in edited),
        )
        total = shaped_reward(measured).total
        assert total is not None
        self._potential = total
        return total

    def _is_new(self, path: str) -> bool:
        """Whether the base commit has no such file."""
        assert self._workspace is not None
        asked = self._workspace.sandbox.exec(
            ["git", "cat-file", "-e", f"{self._workspace.base_commit}:{path}"]
        )
        return asked.exit_code != 0

    def _task_of(self, row: Mapping[str, Any]) -> IssueTask:
        names = {
            "repository": "repository",
            "base_commit": "base",
            "problem_statement": "issue",
            "instance_id": "instance_id",
        }
        values: dict[str, Any] = {field: row[name] for name, field in names.items() if row.get(name)}
        if "repository" in values:
            values["repository"] = self._located(values["repository"])
        if row.get("fail_to_pass"):
            values["fail_to_pass"] = tuple(row["fail_to_pass"])
        if self._default is not None:
            return replace(self._default, **values)
        if not {"repository", "issue"} <= set(values):
            raise UsageError(
                "the environment has no task: give one, or rows with repository and problem_statement"
            )
        return IssueTask(**values)

    def _located(self, repository: str) -> str:
        name = repository.removesuffix(".git").rstrip("/")
        for part in (
            (name, name.split("/")[-1], "__".join(name.split("/")[-2:])) if self._repositories else ()
        ):
            path = self._repositories / part if self._repositories else Path(part)
            if part and not Path(part).is_absolute() and path.is_dir():
                return str(path)
        return repository

    def _close(self) -> None:
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = self._toolbox = None

    def __del__(self) -> None:
        self._close()


@dataclass(frozen=True, slots=True)
class SessionFactory:
    """Makes sessions; values only, so that a trainer can send it to its workers."""

    task: IssueTask | None = None
    max_steps: int = 50
    repositories: Path | None = None

    def __call__(self) -> IssueSession:
        return IssueSession(self.task, max_steps=self.max_steps, repositories=self.repositories)


def session_factory(
    task: IssueTask | None = None, *, max_steps: int = 50, repositories: str | Path | None = None
) -> SessionFactory:
    """For `GRPOTrainer(environment_factory=...)`: fields of a row replace those of `task`; a row's repository is
    looked for in the folder `repositories` first."""
    return SessionFactory(task, max_steps, Path(repositories) if repositories is not None else None)
