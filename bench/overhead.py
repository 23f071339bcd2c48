"""What one agent step costs: CPU per step, start-up to the first request, peak memory, bytes written.

Each agent runs against a scripted OpenAI-compatible server in its own process, which answers at once with a
shell command per step; the server reads the agent's CPU clock as each request arrives, so every agent is
measured the same way and from outside. Commands that agents run are processes of their own and not counted.

    python bench/overhead.py [--steps 30 300] [--only client single team]
                             [--peer mini-swe-agent=VENV] [--peer smolagents=VENV] [--peer openhands=VENV]
                             [--peer swe-agent=VENV] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SERVERS = HERE.parent / "tests"
OURS = ("client", "single", "team")
PEERS = ("mini-swe-agent", "smolagents", "openhands", "swe-agent")


@dataclass(frozen=True)
class Figures:
    """One agent at one number of steps. Milliseconds and seconds of CPU time, all threads."""

    agent: str
    steps: int
    start_cpu_s: float
    step_cpu_ms: float
    first_five_ms: float
    last_five_ms: float
    peak_rss_mib: float
    written_kib: float
    wall_s: float


def command_of(step: int) -> str:
    """About 2.4 kB of output, different in each step (agents look for repetition)."""
    return f"seq {step} {step + 480}"


def script_of(agent: str, steps: int) -> dict[str, Any]:
    """What the server answers: `steps` commands, then what each agent takes for an end."""
    name, argument = {"openhands": ("terminal", "command"), "mini-swe-agent": ("bash", "command")}.get(
        agent, ("bash" if agent == "swe-agent" else "shell", "command")
    )
    turns = [
        {
            "content": f"Step {i}: I look further.",
            "tool_calls": [{"name": name, "arguments": {argument: command_of(i)}}],
        }
        for i in range(steps)
    ]
    ends: dict[str, list[dict[str, Any]]] = {
        "mini-swe-agent": [
            {"name": "bash", "arguments": {"command": "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"}}
        ],
        "smolagents": [{"name": "final_answer", "arguments": {"answer": "done"}}],
        "openhands": [{"name": "finish", "arguments": {"message": "done"}}],
        "swe-agent": [{"name": "submit", "arguments": {}}],
        "client": [],
    }
    if agent in ends:
        return {"replies": [*turns, {"content": "Done.", "tool_calls": ends[agent]}], "models": []}
    edit = {"path": "calc.py", "edits": [{"oldText": "a - b", "newText": "a + b"}]}
    work = [
        *turns,
        {"tool_calls": [{"name": "editFile", "arguments": edit}]},
        {"tool_calls": [{"name": "finish", "arguments": {"summary": "done"}}]},
    ]
    found = {"summary": "known", "failingTests": ["test_calc.py::test_add"], "reproduced": True}
    scores = {"addressesIssue": 9, "safeForCallers": 9, "minimal": 9, "honest": 9}
    verdict = {"accept": True, "scores": scores, "rationale": "right"}
    routes = [
        {"when": "You are the Tester", "replies": [{"tool_calls": [{"name": "finish", "arguments": found}]}]},
        {
            "when": "You are the Critic",
            "replies": [{"tool_calls": [{"name": "finish", "arguments": verdict}]}],
        },
    ]
    return {"routes": routes, "replies": work, "models": []}


@contextmanager
def served(script: dict[str, Any], folder: Path, watched: Path) -> Iterator[str]:
    """The server in its own process. Yields its base URL."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    command = [sys.executable, "-m", "servers.model_server", "--script", str(path), "--watch", str(watched)]
    with subprocess.Popen(command, cwd=SERVERS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def command_line(agent: str, venv: Path | None, base: str, repo: Path, folder: Path, steps: int) -> list[str]:
    """How to run one agent on `repo` against `base`."""
    if agent in ("single", "team"):
        command = [sys.executable, "-m", "swe_agent", "solve", "--text", "add subtracts", "--repo", str(repo)]
        command += ["--model", "openai/scripted", "--api-base", base, "--roles", agent, "--search", "linear"]
        return [
            *command,
            "--output",
            str(folder / "run"),
            "--max-steps",
            str(steps + 10),
            "--sandbox",
            "auto",
        ]
    python = sys.executable if venv is None else str(venv / "bin" / "python")
    driver = HERE / "drivers" / f"run_{agent.replace('-', '_')}.py"
    return [python, str(driver), base, str(repo), str(folder), str(steps)]


def measure(agent: str, venv: Path | None, steps: int) -> Figures:
    """Run `agent` once. Raises: RuntimeError when it made fewer requests than the script has steps."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as scratch:
        folder = Path(scratch)
        repo = make_repository(folder / "repo")
        watched = folder / "pid"
        with served(script_of(agent, steps), folder, watched) as base:
            # A shell writes its own id and becomes the agent, so the id is there before the first request.
            line = command_line(agent, venv, base, repo, folder, steps)
            shell = ["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(watched), *line]
            env = {
                **os.environ,
                "OPENAI_API_KEY": "none",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "HOME": scratch,
            }
            started = time.perf_counter()
            process = subprocess.Popen(
                shell,
                cwd=repo,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                output, _ = process.communicate(timeout=900)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
            wall = time.perf_counter() - started
            with urllib.request.urlopen(base.removesuffix("/v1") + "/usage") as response:
                usage = json.load(response)
    if len(usage) < steps + 1:
        tail = output.decode(errors="replace")[-1500:]
        raise RuntimeError(
            f"{agent} made {len(usage)} requests of {steps + 1} (exit {process.returncode}):\n{tail}"
        )
    return figures_of(agent, steps, usage, wall)


def figures_of(agent: str, steps: int, usage: list[dict[str, float]], wall: float) -> Figures:
    """Steps are the differences between neighbouring requests; in a team those of the one long turn."""
    cpu = [point["cpu_s"] for point in usage]
    offset = 1 if agent == "team" else 0
    each = [
        (later - earlier) * 1000 for earlier, later in zip(cpu[offset:], cpu[offset + 1 :], strict=False)
    ][:steps]
    return Figures(
        agent,
        steps,
        start_cpu_s=round(cpu[0], 3),
        step_cpu_ms=round(statistics.fmean(each), 2),
        first_five_ms=round(statistics.fmean(each[:5]), 2),
        last_five_ms=round(statistics.fmean(each[-5:]), 2),
        peak_rss_mib=round(max(point["rss_mib"] for point in usage), 1),
        written_kib=round((usage[-1]["written"] - usage[0]["written"]) / 1024, 1),
        wall_s=round(wall, 2),
    )


def make_repository(path: Path) -> Path:
    """A repository with one function and one failing test."""
    path.mkdir(parents=True)
    (path / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (path / "test_calc.py").write_text(
        "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    )
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-C", str(path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "start"], check=True)
    return path


def median_of(runs: list[Figures]) -> Figures:
    fields = {
        name: statistics.median(getattr(run, name) for run in runs)
        for name in asdict(runs[0])
        if name not in ("agent", "steps")
    }
    return Figures(runs[0].agent, runs[0].steps, **fields)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[30])
    parser.add_argument("--only", nargs="+", choices=OURS, default=list(OURS))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=VENV", help=", ".join(PEERS))
    parser.add_argument(
        "--rounds", type=int, default=3, help="medians of this many runs, agents taking turns"
    )
    parser.add_argument("--json", type=Path, help="write the figures there too")
    args = parser.parse_args()
    agents: list[tuple[str, Path | None]] = [(name, None) for name in args.only]
    for peer in args.peer:
        name, _, venv = peer.partition("=")
        if name not in PEERS or not (Path(venv) / "bin" / "python").exists():
            parser.error(
                f"--peer takes NAME=VENV with one of {', '.join(PEERS)} and a virtual environment: {peer}"
            )
        agents.append((name, Path(venv).absolute()))
    runs: dict[tuple[int, str], list[Figures]] = {}
    for steps in args.steps:
        for _ in range(args.rounds):
            for agent, venv in agents:
                try:
                    runs.setdefault((steps, agent), []).append(measure(agent, venv, steps))
                except RuntimeError as error:
                    print(f"overhead: {error}", file=sys.stderr)
    medians = [median_of(found) for found in runs.values() if found]
    print(
        f"| {'agent':<15} | steps | start CPU s | CPU ms/step | first 5 | last 5 | RSS MiB | written KiB | wall s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for f in medians:
        print(
            f"| {f.agent:<15} | {f.steps:>5} | {f.start_cpu_s:>11.2f} | {f.step_cpu_ms:>11.2f} | {f.first_five_ms:>7.2f} "
            f"| {f.last_five_ms:>6.2f} | {f.peak_rss_mib:>7.0f} | {f.written_kib:>11.0f} | {f.wall_s:>6.1f} |"
        )
    if args.json:
        args.json.write_text(json.dumps([asdict(f) for f in medians], indent=1) + "\n")
    return 0 if all(runs.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
