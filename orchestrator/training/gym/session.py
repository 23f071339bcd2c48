"""IssueSession: one episode on one issue over the real workspace and tools.

It is the object behind both interfaces: `IssueEnv` steps it for Gymnasium, and TRL's
`GRPOTrainer(environment_factory=...)` uses it as it is: its public methods are the tools, `reset` takes a row
of the `grpo` export, `get_reward` scores the episode. Tools, their answers and the prompt are those of `solve`.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ....agents.roles import SINGLE, finish_tool
from ....prompts import render, untrusted
from ....tools.errors import PatchError, ProjectError, RepositoryError, SandboxError, UsageError
from ....tools.hygiene import WEAKENS, clean_patch
from ....tools.patch import Patch
from ....tools.testing.report import Comparison, TestReport, compare
from ....tools.testing.test_files import is_test_file
from ....tools.toolbox.tool import ToolResult
from ....tools.toolbox.toolbox import Toolbox
from ....tools.workspace import Workspace
from ...solving.judges import seat
from ...solving.quality import Quality, nearest_files
from ..rewards.function import RewardFunction, load_reward
from ..rewards.shaped import Measurements, shaped_reward
from ..rewards.spec import RewardSpec
from .actions import ACTIONS, FINISH, Actions, tool_schemas
from .row import task_of_row
from .task import IssueTask, PreparedTask, prepared

OUTPUT_CHARS = 20_000
_SECONDS = re.compile(r"\b\d+(?:\.\d+)? ?(?:s|ms|sec|seconds?)\b")
_LOG = logging.getLogger(__name__)

SKIPPED: Counter[str] = Counter()
"""Why → how many episodes of this process were skipped: nothing decides the task, or it cannot be set up."""


class IssueSession(Actions):
    """Made with a default task, or without one: then `reset` must name it."""

    def __init__(
        self,
        task: IssueTask | None = None,
        *,
        max_steps: int = 50,
        repositories: Path | None = None,
        reward: str = "",
    ) -> None:
        """`reward` is what `export --reward` takes (empty: R). `repositories` is a folder of checkouts, by name (`flask`) or owner and name (`pallets/flask`): records
        name a repository, not where it lies."""
        self._default = task
        self._task = task
        self._max_steps = max_steps
        self._repositories = repositories
        self._reward = reward
        self._prepared: PreparedTask | None = None
        self._workspace: Workspace | None = None
        self._toolbox: Toolbox | None = None
        self._owner = os.getpid()
        self._why_skipped = ""
        self._left = max_steps
        self._submitted = False
        self._rate = 0.0
        self._potential = 0.0
        self._graded: float | None = None

    def reset(self, **row: Any) -> str | None:
        """Begin a new episode. A row may hold the columns of the grpo export. Returns the task as `solve` words
        it, or None when the row's own prompt says it already.

        A row whose task nothing decides, or that cannot be set up, is skipped: the episode has no reward, and
        `SKIPPED` counts it. Raises, for a task that was given to the constructor and for a row that names none:
        UsageError, RepositoryError, ProjectError, SandboxError.
        """
        self._close()
        self._task = task_of_row(row, self._default, self._repositories)
        self._left, self._submitted, self._graded, self._why_skipped = self._max_steps, False, None, ""
        try:
            self._prepared = prepared(self._task)
        except (UsageError, RepositoryError, ProjectError, SandboxError) as error:
            if self._default is not None and self._task == self._default:
                raise
            self._skip(error)
            return None
        self._workspace = self._prepared.base.fork()
        self._toolbox = Toolbox(
            self._workspace,
            self._prepared.runner(),
            allowed=SINGLE.tools,
            may_write=self._may_write,
            extra=[finish_tool(SINGLE, self._why_not_done)],
        )
        good = self._prepared.baseline.passing
        self._rate = self._potential = len(self._prepared.targets & good) / len(self._prepared.targets)
        return None if "prompt" in row else self._messages()[1]["content"]

    def _skip(self, error: Exception) -> None:
        assert self._task is not None
        name = self._task.instance_id or self._task.repository
        SKIPPED[type(error).__name__] += 1
        _LOG.warning("%s is skipped (%d so far): %s", name, SKIPPED.total(), error)
        self._prepared, self._left, self._rate, self._potential = None, 0, 0.0, 0.0
        self._why_skipped = str(error)

    def _messages(self) -> list[dict[str, str]]:
        """System and user message, as `solve --roles single` words them."""
        assert self._prepared is not None
        assert self._workspace is not None
        assert self._task is not None
        root = self._workspace.sandbox.placeless(str(self._workspace.root))
        targets = self._prepared.targets
        shown = targets if self._task.test_files or not self._task.test_patch else self._prepared.visible
        task = render(
            "task",
            issue=self._task.issue,
            comments="",
            hints="",
            instructions=(),
            test_command=self._prepared.project.test_command.command,
            failing_tests=sorted(shown),
            unrelated=sorted(self._prepared.baseline.failing - targets) if shown else [],
            reproduced=bool(shown),
            attention="",
            notes="",
            tests=dict(self._task.test_files[:2]),
        )
        system = render(SINGLE.template, root=root, reproduction_path="")
        return [{"role": "system", "content": system}, {"role": "user", "content": task}]

    def _why_not_done(self, arguments: Mapping[str, object]) -> str | None:
        assert self._workspace is not None
        patch = self._workspace.diff()
        if arguments.get("gaveUp") or (not patch.is_empty and set(patch.files) - self._given.keys()):
            return None
        return (
            "The working tree has no change yet, so there is no patch. Make one, or finish with gaveUp true."
        )

    def get_reward(self) -> float | None:
        """The reward of the working tree as it stands: that of a candidate of `solve` with this patch, cleaned and
        judged in the same way, but for time, which is the trainer's here. Measured once after the last action. None
        for a skipped task: nothing was measured, which is not 0."""
        if self._workspace is None:
            return None
        if self._graded is None:
            self._graded = self._grade()
        return self._graded

    def _act(self, tool: str, arguments: Mapping[str, object]) -> ToolResult:
        """Carry out one action; after the end nothing happens any more. Raises: SandboxError."""
        if self._why_skipped:
            return ToolResult(f"The task is skipped; this call did nothing: {self._why_skipped}", ok=False)
        if self._toolbox is None:
            raise UsageError("reset the environment before the first action")
        if self._submitted or self._left <= 0:
            return ToolResult("The work is over; this call did nothing.", ok=False)
        self._left -= 1
        self._graded = None
        result = self._toolbox.call(tool, arguments)
        self._submitted = tool == FINISH and result.ok
        report, comparison = result.data.get("report"), result.data.get("comparison")
        if (
            isinstance(report, TestReport)
            and isinstance(comparison, Comparison)
            and not result.data["selection"]
        ):
            self._saw(report, comparison)
        text = untrusted(_SECONDS.sub("- s", result.text)[: OUTPUT_CHARS - 100], tool)
        return ToolResult(text, result.ok, result.data)

    def _saw(self, report: TestReport, comparison: Comparison) -> None:
        assert self._prepared is not None
        self._rate = len(self._prepared.targets & report.passing) / len(self._prepared.targets)
        self._potential = 0.0 if comparison.broken else self._rate

    def _grade(self) -> float | None:
        assert self._prepared is not None
        assert self._workspace is not None
        measured = self._measured(self._prepared, self._workspace)
        self._rate = measured.pass_rate or 0.0
        spec = self._spec
        total = (
            shaped_reward(measured, spec) if isinstance(spec, RewardSpec) else spec.reward(measured)
        ).total
        self._potential = total or 0.0
        return total

    @cached_property
    def _spec(self) -> RewardSpec | RewardFunction:
        return load_reward(self._reward) if self._reward else RewardSpec()

    def _measured(self, prepared: PreparedTask, workspace: Workspace) -> Measurements:
        """What `solve` would measure of the patch: cleaned in the same way, under the base's own tests."""
        given = self._given
        with workspace.fork() as fork:
            bent = sum(_text(fork, path) != text for path, text in given.items())
            for path in given:  # the judgement's base has them already
                back = ["rm", "-f"] if self._is_new(path) else ["git", "checkout", "-q", fork.base_commit]
                fork.sandbox.exec([*back, "--", path])
            found = clean_patch(fork, fork.diff(), reproduction_paths=tuple(given))
        patch = Patch("") if found.faults else found.patch
        bent += sum(item.reason in WEAKENS for item in found.removed)
        command = prepared.project.test_command.command
        with prepared.base.fork() as fork:
            if not patch.is_empty:
                seat(fork, prepared.base, patch, given, command=command, targets=prepared.targets)
            bent += self._put_hidden_tests(fork)
            report = prepared.runner().run(fork, cold=True)
        tests = nearest_files(report, (), prepared.targets)
        quality = Quality() if patch.is_empty else prepared.gauge.quality(patch, given, command, tests)
        return Measurements(
            pass_rate=len(prepared.targets & report.passing) / len(prepared.targets),
            coverage_change=quality.coverage_change,
            lint_findings=quality.findings,
            regressions=len(compare(prepared.baseline, report).broken - prepared.targets),
            protected_edits=bent,
        )

    def _put_hidden_tests(self, fork: Workspace) -> int:
        """Apply the hidden tests. Returns how many files of theirs the policy wrote itself, so that they do not fit."""
        assert self._task is not None
        try:
            if self._task.test_patch:
                fork.apply(Patch(self._task.test_patch))
        except PatchError:
            return len(Patch(self._task.test_patch).files)
        return 0

    @property
    def _given(self) -> dict[str, str]:
        """Path → text of the tests that the task put into the tree."""
        return dict(self._task.test_files) if self._task is not None else {}

    def _may_write(self, path: str) -> bool:
        return path not in self._given and (not is_test_file(path) or self._is_new(path))

    def _is_new(self, path: str) -> bool:
        """Whether the base commit has no such file."""
        assert self._workspace is not None
        asked = self._workspace.sandbox.exec(
            ["git", "cat-file", "-e", f"{self._workspace.base_commit}:{path}"]
        )
        return asked.exit_code != 0

    def _close(self) -> None:
        if (
            self._workspace is not None and self._owner == os.getpid()
        ):  # a forked child leaves it to its parent
            self._workspace.close()
        self._workspace = self._toolbox = None
        self._owner = os.getpid()

    def __del__(self) -> None:
        self._close()


def _text(workspace: Workspace, path: str) -> str | None:
    try:
        return workspace.read_text(path)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class SessionFactory:
    """Makes sessions; values only, so that a trainer can send it to its workers."""

    task: IssueTask | None = None
    max_steps: int = 50
    repositories: Path | None = None
    reward: str = ""

    def __call__(self) -> IssueSession:
        return IssueSession(
            self.task, max_steps=self.max_steps, repositories=self.repositories, reward=self.reward
        )


def session_factory(
    task: IssueTask | None = None,
    *,
    max_steps: int = 50,
    repositories: str | Path | None = None,
    reward: str = "",
) -> SessionFactory:
    """For `GRPOTrainer(environment_factory=...)`: fields of a row replace those of `task`; a row's repository is
    looked for in the folder `repositories` first; `reward` is what `export --reward` takes."""
    return SessionFactory(task, max_steps, Path(repositories) if repositories is not None else None, reward)


__all__ = [
    "ACTIONS",
    "FINISH",
    "SKIPPED",
    "IssueSession",
    "SessionFactory",
    "session_factory",
    "tool_schemas",
]
