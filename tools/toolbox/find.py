"""findFiles: paths by name or pattern."""

from __future__ import annotations

import difflib
import posixpath
from typing import NotRequired, TypedDict

from ..errors import SandboxError, ToolError
from .files import Files
from .location import locate
from .tool import Tool, ToolResult

GIT = ("git", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false")
SHOWN = 100
_MAX_LISTED = 2000


def find_tool(files: Files) -> Tool:
    """The findFiles tool over `files`."""
    return Tool(
        "findFiles",
        "Find files by name. The pattern is a glob matched against the file name, or against the whole "
        "path when it holds a slash (`**` crosses directories); without wildcards it matches any part of "
        "the path. Files that git ignores are left out.",
        {
            "type": "object",
            "properties": {
                "pattern": {
                    "type": "string",
                    "description": "For example `parser`, `*.toml`, `src/**/io_*.py`.",
                },
                "path": {
                    "type": "string",
                    "description": "Directory to look in; the whole repository if absent.",
                },
            },
            "required": ["pattern"],
            "additionalProperties": False,
        },
        lambda arguments: _find_files(files, arguments),
    )


class FindArguments(TypedDict):
    pattern: str
    path: NotRequired[str]


def _find_files(files: Files, arguments: FindArguments) -> ToolResult:
    root = str(files.sandbox.root)
    pattern = arguments["pattern"].strip().removeprefix(root.rstrip("/") + "/")
    if not pattern or "\0" in pattern:
        raise ToolError("pattern is empty; give a part of the name or a glob")
    if pattern.startswith("/") or ".." in pattern.split("/") or len(pattern) > 1000:
        raise ToolError("pattern must be a short one below the repository's root")
    folder = directory(files, arguments.get("path"))
    found = list_files(files, folder, pathspec(folder, pattern))
    if not found:
        names = list_files(files, folder, folder)
        close = _close_paths(pattern, names)
        hint = "\nClosest names:\n" + "\n".join(close) if close else ""
        return ToolResult(f"no file matches {pattern}{_where(folder)}{hint}")
    found.sort(key=lambda path: _rank(path, pattern))
    count = f"{len(found):,}{'+' if len(found) >= _MAX_LISTED else ''} file{'' if len(found) == 1 else 's'}"
    shown = found[:SHOWN]
    header = f"{count} match {pattern}{_where(folder)}" + (f"; showing {SHOWN}" if len(found) > SHOWN else "")
    return ToolResult("\n".join([header, *shown]))


def directory(files: Files, path: str | None) -> str:
    """The directory (or file) to search below, relative to the root; "." for all of it.
    Raises: ToolError when there is none."""
    place = locate(files.sandbox, path or ".")
    if place.kind == "missing":
        raise ToolError(f"{place.path} does not exist; use findFiles to look for it")
    return place.real


def pathspec(folder: str, pattern: str) -> str:
    """A git pathspec for `pattern` below `folder`."""
    base = "" if folder == "." else _escape(folder) + "/"
    bare = pattern.removeprefix("./")
    if not any(char in bare for char in "*?["):
        return f":(icase){base}*{_escape(bare)}*"
    return f":(glob){base}{bare}" if "/" in bare else f":(glob){base}**/{bare}"


def list_files(files: Files, folder: str, spec: str) -> list[str]:
    """Tracked and untracked files that exist and are not ignored, at most a few thousand."""
    if spec == folder:
        spec = f":(literal){folder}" if folder != "." else "."
    options = ["--cached", "--others", "--exclude-standard", "--deduplicate"]
    done = files.sandbox.exec([*GIT, "ls-files", "-z", *options, "--", spec], timeout=60)
    if done.exit_code == 128:  # git's own refusal: of the pattern, or of a repository that was broken
        raise ToolError(f"git cannot list these files: {done.output.strip().splitlines()[-1][:300]}")
    if done.exit_code != 0:
        raise SandboxError(f"git cannot list the files: {done.output.strip()[-300:]}")
    gone = files.sandbox.exec([*GIT, "ls-files", "-z", "--deleted", "--", spec], timeout=60).output
    missing = set(gone.split("\0"))
    return [path for path in done.output.split("\0") if path and path not in missing][:_MAX_LISTED]


def _escape(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in text)


def _rank(path: str, pattern: str) -> tuple[bool, bool, int, str]:
    name = posixpath.basename(path).lower()
    want = posixpath.basename(pattern).lower()
    return (name != want and posixpath.splitext(name)[0] != want, want not in name, path.count("/"), path)


def _close_paths(pattern: str, paths: list[str]) -> list[str]:
    want = posixpath.basename(pattern).strip("*").lower()
    by_name: dict[str, str] = {}
    for path in paths:
        by_name.setdefault(posixpath.basename(path).lower(), path)
    return [by_name[name] for name in difflib.get_close_matches(want, list(by_name), 5, 0.6)]


def _where(folder: str) -> str:
    return "" if folder == "." else f" below {folder}"
