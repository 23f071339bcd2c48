"""run_solve: a run to its end, or to the signal that stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from ..request import SolveRequest, SolveResult
from ..solving.run_directory import RunDirectory

if TYPE_CHECKING:
    from ..report.screen import Screen


def run_solve(request: SolveRequest, run: RunDirectory, screen: Screen) -> SolveResult:
    """Run to the end. ^C and SIGTERM stop it within seconds with the best patch on disk; the exit code is
    then 130 or 143 and the process ends here."""
    from ..solving.solve import solve

    caught: list[int] = []

    async def main() -> SolveResult:
        task = asyncio.ensure_future(solve(request, run, listener=screen))
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            if caught:
                screen.__exit__()
                os._exit(128 + number)
            caught.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        return await task

    runner = asyncio.Runner()
    try:
        with screen:
            result = runner.run(main())
    except asyncio.CancelledError:
        best = f"best patch so far: {run.patch}" if run.patch.exists() else "no patch yet"
        leave(
            f"swe-agent: stopped; {best}\nresume: swe-agent solve --resume {run.path}",
            128 + (caught[0] if caught else signal.SIGINT),
        )
    finally:
        run.release()
    runner.close()
    return result


def stopped_grading(how: str, number: int = signal.SIGINT) -> NoReturn:
    """The end of a process that was stopped while it graded: what it started dies with it."""
    from ...tools.processes import kill_descendants

    kill_descendants()
    leave(f"swe-agent: stopped while grading; the verdicts so far are kept\n{how}", 128 + number)


def leave(line: str, code: int) -> NoReturn:
    """Say `line` and end at once. Closing a loop would wait for threads that may be in the middle of an
    installation or a test run; all that counts is on disk, and sandboxes die with this process."""
    print(line, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
