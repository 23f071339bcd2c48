"""Files: reading and writing text in the workspace, with a way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from ..errors import ToolError
from ..excerpt import clip_line
from ..sandbox import Sandbox
from ..workspace import Workspace
from .location import Location, locate
from .shell import OutputLog
from .syntax import show_fault, syntax_fault
from .text_file import TextFile
from .tool import Tool, ToolResult

MAX_FILE_BYTES = 8 << 20
MAX_WINDOW_LINES = 2000
DEFAULT_WINDOW_LINES = 400
MAX_WINDOW_CHARS = 30_000


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file as an editing call found it and left it; None: it did not exist."""

    path: str
    before: bytes | None
    after: bytes | None


class ReadArguments(TypedDict):
    path: str
    startLine: NotRequired[int]
    endLine: NotRequired[int]


class WriteArguments(TypedDict):
    path: str
    content: str


class Files:
    """Text files of one workspace, as a role may see and change them."""

    def __init__(
        self,
        workspace: Workspace,
        may_write: Callable[[str], bool] = lambda path: True,
        logs: OutputLog | None = None,
    ) -> None:
        self.workspace = workspace
        self._logs = logs or OutputLog(None)
        self._may_write = may_write
        self._history: list[FileChange] = []

    @property
    def sandbox(self) -> Sandbox:
        return self.workspace.sandbox

    def read(self, path: str) -> tuple[Location, bytes]:
        """Where the path leads and the bytes there.
        Raises: ToolError for what is not a readable file of sensible size."""
        place = locate(self.sandbox, path)
        if place.kind == "missing":
            raise ToolError(f"{place.path} does not exist; use findFiles to look for it")
        if place.kind == "directory":
            raise ToolError(f"{place.path} is a directory; use fileMap or findFiles to list it")
        if place.kind == "special":
            raise ToolError(f"{place.path} is not a regular file")
        if place.size > MAX_FILE_BYTES:
            raise ToolError(
                f"{place.path} is too large ({place.size:,} bytes; the limit is {MAX_FILE_BYTES:,}); "
                "use search to find the lines you need"
            )
        return place, self._bytes(place)

    def write(self, place: Location, data: bytes, before: bytes | None) -> None:
        """Write and remember how to undo it. Raises: ToolError when the role may not, or the write fails."""
        self.check_may_write(place)
        try:
            self.sandbox.write_bytes(place.real, data)
        except OSError as error:
            raise ToolError(f"cannot write {place.path}: {error.strerror or error}") from error
        self._history.append(FileChange(place.real, before, data))

    def check_may_write(self, place: Location) -> None:
        if not (self._may_write(place.path) and self._may_write(place.real)):
            raise ToolError(f"this role may not write {place.path}; it may write test files only")

    def undo(self) -> FileChange:
        """Take back the last write. Raises: ToolError when there is none, or the file changed since."""
        if not self._history:
            raise ToolError("there is no edit to undo")
        change = self._history[-1]
        place = locate(self.sandbox, change.path)
        now = self._bytes(place) if place.kind == "file" else None
        if now != change.after:
            raise ToolError(
                f"{change.path} was changed by a command after the last edit, so undo would lose that; "
                "edit it instead"
            )
        if change.before is None:
            done = self.sandbox.exec(["rm", "-f", "--", f"./{change.path}"], timeout=30)
            if done.exit_code != 0:
                raise ToolError(f"cannot remove {change.path}: {done.output.strip()}")
        else:
            self.sandbox.write_bytes(change.path, change.before)
        return self._history.pop()

    def _bytes(self, place: Location) -> bytes:
        try:
            return self.sandbox.read_bytes(place.real, max_bytes=MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ToolError(f"cannot read {place.path}: {error.strerror or error}") from error

    def tools(self) -> list[Tool]:
        """readFile, writeFile, undo."""
        return [
            Tool(
                "readFile",
                "Read a text file of the repository, with line numbers. Shows "
                f"{DEFAULT_WINDOW_LINES} lines from startLine unless endLine is given. The number and the "
                "tab before each line are not part of the file.",
                {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string", "description": "Path relative to the repository's root."},
                        "startLine": {"type": "integer", "minimum": 1, "description": "First line, from 1."},
                        "endLine": {"type": "integer", "minimum": 1, "description": "Last line, inclusive."},
                    },
                    "required": ["path"],
                    "additionalProperties": False,
                },
                self._read_file,
            ),
            Tool(
                "writeFile",
                "Create a file, or replace its whole contents. To change part of a file use editFile.",
                {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string", "description": "Path relative to the repository's root."},
                        "content": {"type": "string", "description": "The whole new contents."},
                    },
                    "required": ["path", "content"],
                    "additionalProperties": False,
                },
                self._write_file,
                mutates=True,
            ),
            Tool(
                "undo",
                "Take back your last writeFile or editFile call. Can be repeated.",
                {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                self._undo,
                mutates=True,
            ),
        ]

    def _read_file(self, arguments: ReadArguments) -> ToolResult:
        path = arguments["path"]
        if path.startswith("log:"):
            name, data = path, self._logs.read(path[4:], MAX_FILE_BYTES)
        else:
            place, data = self.read(path)
            name = place.path
        file = TextFile.decode(data, name)
        return ToolResult(window(name, file, arguments.get("startLine"), arguments.get("endLine")))

    def _write_file(self, arguments: WriteArguments) -> ToolResult:
        content = arguments["content"]
        place = locate(self.sandbox, arguments["path"])
        self.check_may_write(place)
        if place.kind == "missing":
            file, before = TextFile(content), None
        else:
            place, before = self.read(place.path)
            file = TextFile.decode(before, place.path).with_text(content)
        data = file.encode()
        fault = syntax_fault(place.path, data)
        if fault is not None and before is not None and syntax_fault(place.path, before) is None:
            raise ToolError(
                f"refused: {place.path} would no longer parse. {show_fault(fault, file.text)}\n"
                "Nothing was written."
            )
        self.write(place, data, before)
        kept = f", {', '.join(file.traits)}" if before is not None and file.traits else ""
        text = f"{'created' if before is None else 'replaced'} {place.path} ({len(file.lines)} lines{kept})"
        if fault is not None:
            text += f"\nwarning: it does not parse. {show_fault(fault, file.text)}"
        return ToolResult(text)

    def _undo(self, arguments: object) -> ToolResult:
        change = self.undo()
        return ToolResult(f"{'removed' if change.before is None else 'restored'} {change.path}")


def window(name: str, file: TextFile, start: int | None, end: int | None) -> str:
    """Numbered lines `start`..`end` (from 1, inclusive) under a header, with how to go on."""
    lines = file.lines
    total = len(lines)
    header = f"{name} ({', '.join([f'{total:,} line' + ('' if total == 1 else 's'), *file.traits])})"
    if not total:
        return f"{header}\n[the file is empty]"
    first = start or 1
    if first > total:
        raise ToolError(f"{name} has {total} lines; startLine {first} is past its end")
    if end is not None and end < first:
        raise ToolError(f"endLine {end} is before startLine {first}")
    last = min(total, first + MAX_WINDOW_LINES - 1, end or first + DEFAULT_WINDOW_LINES - 1)
    shown: list[str] = []
    used = 0
    for number in range(first, last + 1):
        line = f"{number:>6}\t{clip_line(lines[number - 1], 1000)}"
        used += len(line) + 1
        if used > MAX_WINDOW_CHARS and shown:
            break
        shown.append(line.encode("utf-8", "replace").decode("utf-8"))
    last = first + len(shown) - 1
    if first > 1 or last < total:
        header += f", lines {first}-{last}"
    more = [f"[{total - last:,} more lines: startLine={last + 1}]"] if last < total else []
    return "\n".join([header, *shown, *more])
