"""Actions: the tools of `solve` as methods, the shape in which TRL's `environment_factory` takes tools.

Names and arguments are those of the toolbox that `solve` offers a writer; `tool_schemas` are its very schemas,
so that a policy trained on exported conversations calls its tools here as it was taught.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, cast

from ....agents.roles import SINGLE, finish_tool
from ....tools.testing.runner import TestRunner
from ....tools.toolbox.tool import ToolResult
from ....tools.toolbox.tool_schema import ToolSchema
from ....tools.toolbox.toolbox import NAMES, Toolbox
from ....tools.workspace import Workspace

FINISH = "finish"
ACTIONS = (*(name for name in NAMES if name in SINGLE.tools), FINISH)
"""What a policy can do, in the order of the action space."""


@cache
def tool_schemas() -> list[ToolSchema]:
    """The tools as OpenAI function schemas, as `solve` sends them to its writers."""
    nothing, finish = cast(Workspace, None), finish_tool(SINGLE, lambda arguments: None)
    runner = cast(TestRunner, object())  # schemas depend on neither
    return Toolbox(nothing, runner, allowed=SINGLE.tools, extra=[finish]).schemas


class Actions:
    """Public methods are tools; each answers what the tool says."""

    def _act(self, tool: str, arguments: Mapping[str, object]) -> ToolResult:
        raise NotImplementedError

    def _tell(self, tool: str, **arguments: Any) -> str:
        return self._act(tool, {name: value for name, value in arguments.items() if value is not None}).text

    def readFile(self, path: str, startLine: int | None = None, endLine: int | None = None) -> str:
        """Read a text file of the repository, with line numbers.

        Args:
            path: Path relative to the repository's root.
            startLine: First line, from 1.
            endLine: Last line, inclusive.

        Returns:
            The numbered lines.
        """
        return self._tell("readFile", path=path, startLine=startLine, endLine=endLine)

    def search(
        self,
        query: str,
        mode: Literal["text", "regex", "symbol"] | None = None,
        path: str | None = None,
        glob: str | None = None,
        ignoreCase: bool | None = None,
    ) -> str:
        """Search the files of the repository.

        Args:
            query: What to look for; one line.
            mode: text, regex or symbol.
            path: Directory or file to search; all if absent.
            glob: Only files matching this, for example `*.py`.
            ignoreCase: Whether upper and lower case are the same.

        Returns:
            The places found, most relevant first.
        """
        return self._tell("search", query=query, mode=mode, path=path, glob=glob, ignoreCase=ignoreCase)

    def findFiles(self, pattern: str, path: str | None = None) -> str:
        """Find files by name.

        Args:
            pattern: For example `parser`, `*.toml`, `src/**/io_*.py`.
            path: Directory to look in; the whole repository if absent.

        Returns:
            The paths found.
        """
        return self._tell("findFiles", pattern=pattern, path=path)

    def fileMap(self, path: str | None = None) -> str:
        """Outline a file (signatures with their lines) or a directory.

        Args:
            path: File or directory; the root if absent.

        Returns:
            The outline.
        """
        return self._tell("fileMap", path=path)

    def editFile(self, path: str, edits: list[dict[str, Any]]) -> str:
        """Replace exact text in a file. Each old text must occur exactly once.

        Args:
            path: Path relative to the repository's root.
            edits: Objects with oldText, newText and, where every occurrence is meant, replaceAll.

        Returns:
            What was changed, or why nothing was.
        """
        return self._tell("editFile", path=path, edits=edits)

    def writeFile(self, path: str, content: str) -> str:
        """Create a file, or replace its whole contents.

        Args:
            path: Path relative to the repository's root.
            content: The whole new contents.

        Returns:
            What was written, or why nothing was.
        """
        return self._tell("writeFile", path=path, content=content)

    def undo(self) -> str:
        """Take back the last writeFile or editFile.

        Returns:
            What was taken back.
        """
        return self._tell("undo")

    def runTests(self, tests: list[str] | None = None, timeout: int | None = None) -> str:
        """Run the tests of the repository.

        Args:
            tests: Test ids as runTests prints them, or test files. All tests if absent.
            timeout: Seconds.

        Returns:
            What changed against the unmodified repository, and the failures.
        """
        return self._tell("runTests", tests=tests, timeout=timeout)

    def shell(self, command: str, timeout: int | None = None) -> str:
        """Run one shell command at the root of the repository.

        Args:
            command: A bash command line.
            timeout: Seconds.

        Returns:
            Its output and exit code.
        """
        return self._tell("shell", command=command, timeout=timeout)

    def diff(self) -> str:
        """Show everything that differs from the base commit.

        Returns:
            The diff.
        """
        return self._tell("diff")

    def finish(self, summary: str, gaveUp: bool | None = None) -> str:
        """End the work: the change as it stands is graded. Nothing after it counts.

        Args:
            summary: What you found and did, in a few sentences.
            gaveUp: True when you could not solve it.

        Returns:
            That the work is done, or why it is not.
        """
        return self._tell("finish", summary=summary, gaveUp=gaveUp)
