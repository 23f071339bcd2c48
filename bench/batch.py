"""How many trajectories one process carries: a scripted model of 2 s latency, a trivial tool per step.

Each figure is a process of its own. `ours` is the agent loop over the model client with the scripted model
(no sandbox, no record), set up like a worker process of a batch; `threads` is the smallest possible loop, a thread per trajectory that sleeps.
Ideal wall time is steps x latency; a level holds when the wall time stays under 1.1 of it.

    python bench/batch.py [--levels 32 64 128 256] [--steps 5] [--latency 2.0] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KINDS = ("ours", "threads")


def _rss_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _script(directory: Path, steps: int, latency: float) -> str:
    # notes differ, so that the loop does not see an agent that goes in circles
    notes = [{"name": "note", "arguments": {"text": f"{step} " + "x" * 200}} for step in range(steps - 1)]
    finish = {"name": "finish", "arguments": {"summary": "done"}}
    turns = [{"tool_calls": [call], "delay_s": latency} for call in [*notes, finish]]
    path = directory / "script.json"
    path.write_text(json.dumps({"turns": {}, "default": turns}))
    return f"scripted/{path}"


def _empty(scratch: Path) -> Path:
    path = scratch / "source"
    path.mkdir()
    return path


async def _ours(count: int, steps: int, latency: float) -> None:
    from swe_agent.agents.loop import RoleAgent
    from swe_agent.agents.models.factory import make_client
    from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
    from swe_agent.tools.toolbox.tool import Tool, ToolResult
    from swe_agent.tools.toolbox.toolbox import Toolbox
    from swe_agent.tools.workspace import Workspace

    parameters = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": False}
    closing = {"type": "object", "properties": {"summary": {"type": "string"}}, "additionalProperties": False}

    def note(arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult("noted " * 40)

    def finish(arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult("Done.", data=dict(arguments))

    with tempfile.TemporaryDirectory() as scratch:
        model = _script(Path(scratch), steps, latency)

        async def one(number: int) -> None:
            extra = (Tool("note", "Note it.", parameters, note), Tool("finish", "End.", closing, finish))
            tools = Toolbox(workspace, None, allowed=(), extra=extra)
            scope = f"n{number}/coder/0"
            agent = RoleAgent(
                "coder", make_client(model, scope=scope), tools, system="You solve an issue.", scope=scope
            )
            result = await agent.turn("add subtracts")
            assert (result.status, result.steps) == ("finished", steps), result

        spec = SandboxSpec(source=_empty(Path(scratch)), scratch=Path(scratch))
        with Workspace(open_sandbox("plain", spec), "0" * 40) as workspace:
            await asyncio.gather(*(one(number) for number in range(count)))


def _threads(count: int, steps: int, latency: float) -> None:
    def one() -> None:
        history: list[str] = []
        for _ in range(steps):
            time.sleep(latency)
            history.append("x" * 200)

    workers = [threading.Thread(target=one) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _measure(kind: str, count: int, steps: int, latency: float) -> dict[str, Any]:
    """One level in this process, after a single trajectory that warms everything up."""
    if kind == "ours":
        from swe_agent.orchestrator.batch.worker import spare_collector

        asyncio.run(_ours(1, steps, 0.0))
        spare_collector()
    base = _rss_kib()
    cpu, begin = time.process_time(), time.monotonic()
    if kind == "ours":
        asyncio.run(_ours(count, steps, latency))
    else:
        _threads(count, steps, latency)
    wall = time.monotonic() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "kind": kind,
        "concurrent": count,
        "wall_s": round(wall, 3),
        "of_ideal": round(wall / (steps * latency), 4),
        "cpu_ms_per_step": round((time.process_time() - cpu) * 1000 / (count * steps), 3),
        "rss_kib_each": round(max(0, peak - base) / count, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--levels", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--latency", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options.one[0], int(options.one[1]), options.steps, options.latency)))
        return
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        for level in options.levels:
            command = [sys.executable, __file__, "--one", kind, str(level), "--steps", str(options.steps),
                       "--latency", str(options.latency)]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(done.stderr.strip()[-800:])
            rows.append(json.loads(done.stdout))
            print("{kind:8} {concurrent:5} at once  {wall_s:7.2f} s  {of_ideal:.3f} of ideal  {cpu_ms_per_step:6.2f} ms/step  "
                  "{rss_kib_each:7.1f} KiB each".format(**rows[-1]), flush=True)  # fmt: skip
    for kind in KINDS:
        held = [row["concurrent"] for row in rows if row["kind"] == kind and row["of_ideal"] < 1.1]
        print(f"{kind}: {max(held, default=0)} at once within 1.1 of ideal")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
