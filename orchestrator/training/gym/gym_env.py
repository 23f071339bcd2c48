"""IssueEnv: the Gymnasium interface, `gymnasium.make("swe_agent/Issue-v0", repository=..., issue=...)`.

Observation `Dict(issue, output: Text, pass_rate, steps_left: Box)`, action `Dict(tool: Discrete, arguments:
Text)` with the arguments as a JSON object. `terminated` is a submission, `truncated` the end of the budget of
steps. The reward of a step is the change of the potential (share of the deciding tests that pass in a whole
run, 0 while something is broken), so that an episode's rewards sum to its final reward minus the first one.
"""

from __future__ import annotations

import json
from typing import Any, TypedDict

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from ....tools.toolbox.tool_schema import ToolSchema
from .actions import ACTIONS, tool_schemas
from .session import OUTPUT_CHARS, IssueSession
from .task import IssueTask

ISSUE_CHARS = 100_000
_ASCII = "".join(map(chr, range(32, 127))) + "\n\t"


class AnyText(spaces.Text):
    """Text of any characters; samples are ASCII."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length, min_length=0, charset=_ASCII)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText) and other.max_length == self.max_length

    def __hash__(self) -> int:
        return hash(self.max_length)


class Observed(TypedDict):
    issue: str
    output: str
    pass_rate: NDArray[np.float32]
    steps_left: NDArray[np.int64]


class Action(TypedDict):
    tool: int
    """Place in `ACTIONS`."""
    arguments: str
    """A JSON object."""


class IssueEnv(gymnasium.Env[Observed, Action]):
    """Keyword arguments are the fields of `IssueTask`, plus `max_steps` and `reward`."""

    metadata = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own declaration

    def __init__(
        self,
        repository: str = "",
        issue: str = "",
        *,
        max_steps: int = 50,
        reward: str = "",
        render_mode: str | None = None,
        **task: Any,
    ) -> None:
        """Nothing is prepared before the first `reset`."""
        self.render_mode = render_mode
        self.max_steps = max_steps
        for name in ("fail_to_pass",):
            if name in task:
                task[name] = tuple(task[name])
        self.session = IssueSession(
            IssueTask(str(repository), issue, **task) if repository else None,
            max_steps=max_steps,
            reward=reward,
        )
        self.observation_space = spaces.Dict(  # type: ignore[assignment]  # the same, spelled as a TypedDict
            {
                "issue": AnyText(ISSUE_CHARS),
                "output": AnyText(OUTPUT_CHARS),
                "pass_rate": spaces.Box(0.0, 1.0, (1,), np.float32),
                "steps_left": spaces.Box(0, max_steps, (1,), np.int64),
            }
        )
        self.action_space = spaces.Dict(  # type: ignore[assignment]
            {"tool": spaces.Discrete(len(ACTIONS)), "arguments": AnyText(OUTPUT_CHARS)}
        )
        self._issue = issue
        self._output = ""

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[Observed, dict[str, object]]:
        """`options` may be a row of the grpo export. Raises: UsageError without a task; RepositoryError,
        ProjectError, SandboxError."""
        super().reset(seed=seed)
        self.session.reset(**(options or {}))
        self._issue = self.session._task.issue if self.session._task is not None else ""
        self._output = ""
        return self._observation(), {"tools": ",".join(ACTIONS), "ok": True, "submitted": False}

    def step(self, action: Action) -> tuple[Observed, float, bool, bool, dict[str, object]]:
        """One tool call. Arguments that are not a JSON object are answered with an error observation."""
        before = self.session._potential
        tool = ACTIONS[int(action["tool"])]
        try:
            arguments = json.loads(action["arguments"] or "{}")
            if not isinstance(arguments, dict):
                raise ValueError("they are not an object")
        except (ValueError, RecursionError) as error:
            self.session._left = max(0, self.session._left - 1)
            self._output, ok = f"{tool}: the arguments are not a JSON object ({error})"[:OUTPUT_CHARS], False
        else:
            result = self.session._act(tool, arguments)
            self._output, ok = result.text[:OUTPUT_CHARS], bool(result.ok)
        terminated = bool(self.session._submitted)
        truncated = bool(not terminated and self.session._left <= 0)
        graded = self.session.get_reward() if terminated or truncated else self.session._potential
        after = before if graded is None else graded  # a skipped task: its episode is empty and earns nothing
        info = {"tool": tool, "ok": ok, "submitted": terminated}
        return self._observation(), float(after - before), terminated, truncated, info

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt of the episode, as `solve` sends it: system and user message."""
        return self.session._messages()

    @property
    def tools(self) -> list[ToolSchema]:
        """The tools as OpenAI function schemas, as `solve` sends them."""
        return tool_schemas()

    def render(self) -> str | None:  # type: ignore[override]
        return self._output if self.render_mode == "ansi" else None

    def close(self) -> None:
        self.session._close()

    def action(self, tool: str, **arguments: Any) -> Action:
        """An action by tool name: `env.step(env.unwrapped.action("readFile", path="a.py"))`."""
        return {"tool": ACTIONS.index(tool), "arguments": json.dumps(arguments)}

    def _observation(self) -> Observed:
        return {
            "issue": self._issue[:ISSUE_CHARS],
            "output": self._output,
            "pass_rate": np.array([self.session._rate], np.float32),
            "steps_left": np.array([self.session._left], np.int64),
        }


__all__ = ["ACTIONS", "AnyText", "IssueEnv"]
