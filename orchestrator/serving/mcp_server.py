"""mcp_server: the Model Context Protocol on its SDK: solve, verify, run tests and search, for other agents.
https://modelcontextprotocol.io (handshake up to 2025-11-25, and 2026-07-28 without one; the SDK speaks both).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from ... import __version__
from ...tools.errors import SweAgentError
from ..solving.run_directory import RunDirectory
from .served_repository import ServedRepository
from .solve_process import SolveProcess

INSTRUCTIONS = (
    "Works on the git repository that the server was started for. solve makes a patch for an issue and says what its "
    "tests show; verify_patch judges a patch with no model; nothing here changes the checkout."
)
HEARTBEAT_S = 5.0


@dataclass(frozen=True, slots=True)
class Served:
    """What a server serves."""

    repository: ServedRepository
    flags: Sequence[str] = ()
    """For every `swe-agent solve` and `verify`."""
    solve_flags: Sequence[str] = ()


def build_server(served: Served) -> MCPServer:
    """A server with its tools, in a fixed order."""

    @asynccontextmanager
    async def lifespan(server: MCPServer) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.to_thread(served.repository.close)

    server = MCPServer(
        "swe-agent", version=__version__, instructions=INSTRUCTIONS, lifespan=lifespan, log_level="WARNING"
    )
    for tool in _tools(served):
        server.add_tool(tool)
    return server


def _tools(served: Served) -> list[Callable[..., Awaitable[Any]]]:
    repository = served.repository
    place = str(repository.path)

    async def solve(issue: str, ctx: Context, base: str = "") -> dict[str, Any]:
        """Solve an issue of the repository: find or write a test that shows it, make a patch, check it. Takes
        minutes. The result holds the patch, whether its checks passed, what it fixed and broke, and the run's name.

        Args:
            issue: What is wrong: a title, then anything that helps.
            base: Revision to work on; empty: HEAD.
        """
        with TemporaryDirectory(prefix="swe-agent-issue-") as folder:
            file = Path(folder) / "issue.md"
            file.write_text(issue, encoding="utf-8", errors="replace")
            arguments = [
                "--file",
                str(file),
                "--repo",
                place,
                *served.flags,
                *served.solve_flags,
                *(["--base", base] if base else []),
            ]
            heard = 0

            def hear(type: str, event: Any) -> None:
                nonlocal heard
                heard += 1
                line = (
                    event.get("line") if type == "progress" else event.get("name") if type == "tool" else None
                )
                if line:
                    latest.append(str(line))

            latest: list[str] = ["starting"]
            run = asyncio.ensure_future(SolveProcess(arguments, repository.path).run(hear))
            try:
                while not run.done():
                    await asyncio.wait({run}, timeout=HEARTBEAT_S)
                    await ctx.report_progress(float(heard), None, latest[-1])
            finally:
                run.cancel()
            outcome = await run
        if outcome.result is None:
            raise ToolError(outcome.error)
        return dict(outcome.result)

    async def verify_patch(patch: str, tests: list[str] | None = None, base: str = "") -> dict[str, Any]:
        """Judge a patch with no model: what it fixes and breaks, on forks of the repository. `exit_code` 0: nothing
        that was run broke, and the named tests pass.

        Args:
            patch: A unified diff.
            tests: Tests that must pass with the patch.
            base: Revision that the patch is for; empty: HEAD.
        """
        arguments = ["verify", "--patch", "-", "--repo", place, "--json", *served.flags]
        arguments += ["--base", base] if base else []
        for test in tests or ():
            arguments += ["--test", test]
        return await _command(arguments, repository.path, patch)

    async def run_tests(tests: list[str] | None = None, patch: str = "") -> str:
        """Run tests on a fork of the repository, with a patch if one is given.

        Args:
            tests: Files or ids (`tests/test_a.py::test_b`); none: the whole suite.
            patch: A unified diff to apply first.
        """
        return await _called(lambda: repository.run_tests(tests or [], patch))

    async def search_code(query: str, path: str = "") -> str:
        """Find text, or the definition of a name, in the repository.

        Args:
            query: Words, a name, or a regular expression.
            path: Folder to look in; empty: everywhere.
        """
        return await _called(lambda: repository.search(query, path))

    async def run_status(run: str = "last") -> dict[str, Any]:
        """Status and result of a run of `solve`.

        Args:
            run: Its name or path; `last` is the newest.
        """
        try:
            return await asyncio.to_thread(lambda: RunDirectory.existing(run).read())
        except SweAgentError as error:
            raise ToolError(str(error)) from error

    async def run_report(run: str = "last") -> str:
        """What a run shows about its patch, as Markdown.

        Args:
            run: Its name or path; `last` is the newest.
        """
        from ..report.patch_report import PatchReport

        result = (await run_status(run)).get("result")
        if not isinstance(result, dict):
            raise ToolError(f"{run} has no result yet")
        return PatchReport.of(result).markdown()

    return [solve, verify_patch, run_tests, search_code, run_status, run_report]


async def _called(call: Callable[[], Any]) -> str:
    try:
        return (await asyncio.to_thread(call)).text
    except SweAgentError as error:
        raise ToolError(str(error)) from error


async def _command(arguments: Sequence[str], cwd: Path, stdin: str) -> dict[str, Any]:
    """A command of ours with --json. A tool error holds its last line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "swe_agent", *arguments, cwd=cwd, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await process.communicate(stdin.encode("utf-8", "surrogateescape"))
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.terminate()
        raise
    try:
        return json.loads(out)
    except ValueError:
        words = err.decode(errors="replace").strip().splitlines()
        raise ToolError(words[-1].removeprefix("swe-agent: ") if words else "no answer") from None
