"""Toolbox: the tools that one role has on one workspace."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ..errors import PatchError, SandboxError, ToolError
from ..excerpt import excerpt
from ..workspace import Workspace
from .arguments import check_arguments
from .edit import edit_tool
from .files import Files
from .find import find_tool
from .outline import outline_tool
from .run_tests import RunsTests, tests_tool
from .search import search_tool
from .shell import OutputLog, shell_tool
from .tool import Tool, ToolResult
from .tool_schema import ToolSchema

NAMES = (
    "readFile",
    "search",
    "findFiles",
    "fileMap",
    "editFile",
    "writeFile",
    "undo",
    "runTests",
    "shell",
    "diff",
)
"""Every built-in tool, in the order in which they are offered."""

_DIFF_CHARS = 24_000


class Toolbox:
    """Tools by name, each call checked against its schema and answered with text.

    Calls of one toolbox are carried out one after another, from whatever thread they come.
    """

    def __init__(
        self,
        workspace: Workspace,
        runner: RunsTests | None,
        *,
        allowed: Collection[str],
        may_write: Callable[[str], bool] = lambda path: True,
        extra: Sequence[Tool] = (),
        log_dir: Path | None = None,
        left_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`allowed` names built-in tools (`extra` ones need not be named); `runTests` is offered only with a
        `runner`. `may_write` judges paths relative to the root. A role that may not edit gets a `shell`
        that works on a fork which is thrown away. Full outputs go to `log_dir` (host). `left_s` gives the
        seconds that the run still has (None: no limit), which no command outlives.

        Raises: ValueError for a name that is no tool.
        """
        self.workspace = workspace
        self._lock = threading.Lock()
        logs = OutputLog(log_dir)
        files = Files(workspace, may_write, logs)
        built = [
            *files.tools(),
            search_tool(files),
            find_tool(files),
            outline_tool(files),
            edit_tool(files),
            shell_tool(workspace, logs, scratch=not {"editFile", "writeFile"} & set(allowed), left_s=left_s),
            _diff_tool(workspace, logs),
        ]
        if runner is not None:
            built.append(tests_tool(workspace, runner, logs))
        by_name = {tool.name: tool for tool in built}
        unknown = set(allowed) - set(NAMES) - {tool.name for tool in extra}
        if unknown:
            raise ValueError(f"no such tool: {', '.join(sorted(unknown))}")
        self.tools: Mapping[str, Tool] = {
            **{name: by_name[name] for name in NAMES if name in allowed and name in by_name},
            **{tool.name: tool for tool in extra},
        }
        """Name → tool, in the order offered."""

    @cached_property
    def schemas(self) -> list[ToolSchema]:
        """The tools as they are offered; the same bytes for the same tools, so prompts stay cached."""
        return [tool.schema for tool in self.tools.values()]

    def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Carry out one call. What the model did wrong comes back as `ok=False` with what to do instead.

        Raises: SandboxError when the sandbox failed.
        """
        tool = self.tools.get(name)
        if tool is None:
            close = difflib.get_close_matches(name, list(self.tools), 1)
            hint = f"; did you mean {close[0]}?" if close else "."
            return ToolResult(
                f"there is no tool {name!r}{hint} The tools are: {', '.join(self.tools)}", ok=False
            )
        try:
            checked = check_arguments(tool.parameters, arguments)
            if (odd := _half_character(checked)) is not None:
                raise ToolError(
                    f"{odd} holds half of a character (a lone surrogate): write the character whole"
                )
            with self._lock:
                result = tool.run(checked)
        except (ToolError, PatchError) as error:
            result = ToolResult(f"{name}: {error}", ok=False)
        return replace(result, text=self.workspace.sandbox.placeless(result.text))


def _half_character(value: object, where: str = "the arguments") -> str | None:
    """Where a text cannot be written as bytes. (U+DC80 to U+DCFF stand for bytes that are not UTF-8.)"""
    match value:
        case str():
            try:
                value.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                return where
            return None
        case Mapping():
            found = (_half_character(item, str(name)) for name, item in value.items())
        case list():
            found = (_half_character(item, where) for item in value)
        case _:
            return None
    return next(filter(None, found), None)


def _diff_tool(workspace: Workspace, logs: OutputLog) -> Tool:
    def run(arguments: Mapping[str, object]) -> ToolResult:
        try:
            patch = workspace.diff()
        except SandboxError as error:
            if workspace.exec("true", timeout=30).exit_code != 0:
                raise
            raise ToolError(f"{error}; was .git damaged?") from error
        left_out = ""
        if workspace.left_out:
            left_out = f"\n[not part of the patch, since they are git repositories of their own: {', '.join(workspace.left_out[:10])}]"
        if patch.is_empty:
            return ToolResult(f"no change against the base commit{left_out}", data={"patch": patch})
        text = excerpt(patch.text, _DIFF_CHARS, head_share=0.7)
        name = logs.save("diff", patch.text) if len(patch.text) > _DIFF_CHARS else None
        header = f"{len(patch.files)} file(s), +{patch.added} -{patch.removed}: {', '.join(patch.files[:30])}"
        more = f"\n[whole diff: readFile log:{name}]" if name else ""
        return ToolResult(f"{header}\n{text}{more}{left_out}", data={"patch": patch})

    return Tool(
        "diff",
        "Show everything that differs from the base commit, new files included.",
        {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        run,
    )
