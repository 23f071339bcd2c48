"""shell: one command, stateless, in the workspace or in a copy of it that is thrown away."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NotRequired, TypedDict

from ..errors import ToolError
from ..excerpt import excerpt, printable
from ..workspace import Workspace
from .tool import Tool, ToolResult

DEFAULT_TIMEOUT_S = 120
MAX_TIMEOUT_S = 1800
_SHOWN_CHARS = 12_000
_MAX_COMMAND_BYTES = 100_000  # Linux takes 128 KiB in one argument
_LOG_NAME = re.compile(r"[a-z]+-[0-9a-f]{12}\.log")


class OutputLog:
    """Full outputs of tool calls on the host; readFile shows them as `log:<name>`.

    A log is named by its contents, so that what a model is told does not depend on what else runs.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def save(self, kind: str, text: str) -> str | None:
        """Write one log; its name, or None when nothing is logged."""
        if self._folder is None:
            return None
        data = text.encode("utf-8", "backslashreplace")
        name = f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}.log"
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_bytes(data)
        return name

    def read(self, name: str, max_bytes: int) -> bytes:
        """Raises: ToolError when there is no such log."""
        if self._folder is None or not _LOG_NAME.fullmatch(name) or not (self._folder / name).is_file():
            raise ToolError(f"there is no log {name}")
        with (self._folder / name).open("rb") as file:
            return file.read(max_bytes)


def shell_tool(
    workspace: Workspace, logs: OutputLog, *, scratch: bool, left_s: Callable[[], float | None] = lambda: None
) -> Tool:
    """The shell tool; with `scratch` each command runs on a fork that is then thrown away. `left_s` gives the
    seconds that the run still has."""
    kept = (
        "It runs on a copy of the repository: what it changes is thrown away."
        if scratch
        else "Changes to files stay; directory, variables and background processes do not."
    )
    return Tool(
        "shell",
        f"Run one shell command at the repository's root, without a terminal or input. {kept} It is killed "
        f"after `timeout` seconds (default {DEFAULT_TIMEOUT_S}).",
        {
            "type": "object",
            "properties": {
                "command": {"type": "string", "description": "A bash command line."},
                "timeout": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TIMEOUT_S,
                    "description": "Seconds.",
                },
            },
            "required": ["command"],
            "additionalProperties": False,
        },
        lambda arguments: _shell(workspace, logs, arguments, scratch, left_s()),
        mutates=not scratch,
    )


class ShellArguments(TypedDict):
    command: str
    timeout: NotRequired[int]


def _shell(
    workspace: Workspace,
    logs: OutputLog,
    arguments: ShellArguments,
    scratch: bool,
    left_s: float | None,
) -> ToolResult:
    command = arguments["command"]
    if not command.strip():
        raise ToolError("command is empty")
    if "\0" in command:
        raise ToolError("command holds a NUL character")
    if len(command.encode("utf-8", "surrogatepass")) > _MAX_COMMAND_BYTES:
        raise ToolError("command is longer than 100 kB; write long contents with writeFile")
    timeout = float(arguments.get("timeout") or DEFAULT_TIMEOUT_S)
    cut = left_s is not None and left_s < timeout
    timeout = max(0.1, left_s) if cut and left_s is not None else timeout
    if scratch:
        with workspace.fork() as copy:
            done = copy.exec(command, timeout=timeout)
    else:
        done = workspace.exec(command, timeout=timeout)
    why = "the run's time is used up" if cut else "timeout"
    status = f"killed after {timeout:.3g} s ({why})" if done.timed_out else f"exit code {done.exit_code}"
    text = excerpt(printable(done.output).rstrip("\n"), _SHOWN_CHARS)
    name = logs.save("shell", done.output) if len(done.output) > _SHOWN_CHARS else None
    more = f"\n[whole output: readFile log:{name}]" if name else ""
    if done.truncated:
        more += "\n[the output was longer than is kept; its middle is lost]"
    data = {"exit_code": done.exit_code, "timed_out": done.timed_out, "duration_s": done.duration_s}
    return ToolResult(f"[{status}]\n{text or '[no output]'}{more}", data=data)
