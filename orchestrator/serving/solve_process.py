"""SolveProcess: `swe-agent solve` as a child of a server, its events as they come.

A server outlives many runs and must not be brought down by one; a child can be stopped within a second, and what
it wrote is resumable like any other run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..record.event import Line

LINE_BYTES = 256 << 20
"""Events hold whole files; a line may be long."""
LAST_LINES = 20
GRACE_S = 10.0

OnEvent = Callable[[str, Line], None]


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run ended. `result` is what `solve --json` prints; None: it ended without one, and `error` holds its
    last words."""

    exit_code: int
    result: Mapping[str, Any] | None
    error: str = ""


@dataclass(slots=True)
class SolveProcess:
    """One run. `arguments` are those of `swe-agent solve`."""

    arguments: Sequence[str]
    cwd: Path
    environment: Mapping[str, str] | None = None
    _process: asyncio.subprocess.Process | None = None
    _said: list[str] = field(default_factory=list[str])

    async def run(self, on_event: OnEvent) -> EndedRun:
        """Run to the end; `on_event(type, fields)` hears every event of the run. A cancelled task stops the
        run with its best patch on disk."""
        command = [sys.executable, "-m", "swe_agent", "solve", *self.arguments, "--json", "--json-stream"]
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.cwd,
            env=None if self.environment is None else dict(self.environment),
            limit=LINE_BYTES,
        )
        words = asyncio.create_task(self._listen(process))
        try:
            result = await self._events(process, on_event)
            code = await process.wait()
            await words
        except asyncio.CancelledError:
            words.cancel()
            self._stop_later(process)
            raise
        return EndedRun(code, result, "" if result is not None else self._last_words(code))

    async def _events(
        self, process: asyncio.subprocess.Process, on_event: OnEvent
    ) -> Mapping[str, Any] | None:
        assert process.stdout is not None
        result: Mapping[str, Any] | None = None
        while line := await process.stdout.readline():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if not isinstance(event, dict):
                continue
            if "type" in event:
                on_event(str(event.pop("type")), event)
            elif "status" in event:
                result = event
        return result

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            self._said = [*self._said, line.decode(errors="replace").rstrip()][-LAST_LINES:]

    def _last_words(self, code: int) -> str:
        told = [line for line in self._said if line.startswith("swe-agent: ")] or self._said
        return told[-1].removeprefix("swe-agent: ") if told else f"the run ended with exit code {code}"

    def _stop_later(self, process: asyncio.subprocess.Process) -> None:
        """Ask the run to stop, and kill it if it does not. Nobody waits for it."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)

        async def reap() -> None:
            try:
                await asyncio.wait_for(process.wait(), GRACE_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

        task = asyncio.get_running_loop().create_task(reap())
        _reapers.add(task)
        task.add_done_callback(_reapers.discard)


_reapers: set[asyncio.Task[None]] = set()
"""Keeps the tasks alive that wait for stopped runs."""
