"""shell: one command, stateless, in the workspace or in a copy of it that is thrown away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .excerpt import excerpt
from .tool import Tool, ToolResult
from .workspace import Workspace

DEFAULT_TIMEOUT_S = 120
MAX_TIMEOUT_S = 1800
_SHOWN_CHARS = 12_000


class OutputLog:
    """Full outputs of tool calls, numbered, on the host; readFile shows them as `log:<name>`."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._count = 0

    def save(self, kind: str, text: str) -> str | None:
        """Write one log; its name, or None when nothing is logged."""
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            self._count += 1
            name = f"{kind}-{self._count:04}.log"
            try:
                with (self.folder / name).open("x", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(text)
            except FileExistsError:
                continue
            return name


def shell_tool(workspace: Workspace, logs: OutputLog, *, scratch: bool) -> Tool:
    """The shell tool; with `scratch` each command runs on a fork that is then thrown away."""
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
        lambda arguments: _shell(workspace, logs, arguments, scratch),
        mutates=not scratch,
    )


def _shell(workspace: Workspace, logs: OutputLog, arguments: Mapping[str, Any], scratch: bool) -> ToolResult:
    command: str = arguments["command"]
    if not command.strip():
        return ToolResult("command is empty", ok=False)
    if "\0" in command:
        return ToolResult("command holds a NUL character", ok=False)
    timeout = float(arguments.get("timeout") or DEFAULT_TIMEOUT_S)
    if scratch:
        with workspace.fork() as copy:
            done = copy.exec(command, timeout=timeout)
    else:
        done = workspace.exec(command, timeout=timeout)
    if done.timed_out:
        status = f"killed after {timeout:g} s (timeout)"
    else:
        status = f"exit code {done.exit_code}, {done.duration_s:.1f} s"
    text = excerpt(done.output.rstrip("\n"), _SHOWN_CHARS)
    name = logs.save("shell", done.output) if len(done.output) > _SHOWN_CHARS else None
    more = f"\n[whole output: readFile log:{name}]" if name else ""
    if done.truncated:
        more += "\n[the output was longer than is kept; its middle is lost]"
    data = {"exit_code": done.exit_code, "timed_out": done.timed_out, "duration_s": done.duration_s}
    return ToolResult(f"[{status}]\n{text or '[no output]'}{more}", data=data)
