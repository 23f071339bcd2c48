"""What the runs of one policy amount to: valid calls, runs that ran the tests, tasks solved."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loop_tasks import Task

from swe_agent.orchestrator.record.schema import Message, Trajectory
from swe_agent.orchestrator.record.trajectory_file import read_runs


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over the runs of one policy. A valid call is of a tool that there is, with arguments that it took; a
    task is solved when the selected patch passes the hidden inputs."""

    runs: int
    answers: int
    valid: int
    tested: int
    verified: int
    solved: int

    def row(self, name: str) -> str:
        def share(part: int, whole: int) -> str:
            return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "-"

        return (
            f"| {name} | {share(self.valid, self.answers)} | {share(self.tested, self.runs)} | "
            f"{share(self.verified, self.runs)} | {share(self.solved, self.runs)} |"
        )


HEAD = "| policy | valid tool calls | tests run | verified by `solve` | solved (hidden inputs) |\n| --- | --- | --- | --- | --- |"


def score(batch: Path, tasks: Sequence[Task], checkouts: Path) -> Score:
    """Over the records of a batch. Raises: RuntimeError when a task has no record."""
    by_id = {task.id: task for task in tasks}
    records = {record.task.instance_id: record for record in read_runs(batch)}
    missing = sorted(by_id.keys() - records.keys())
    if missing:
        raise RuntimeError(f"{batch}: no record of {', '.join(missing)}")
    answers = valid = tested = verified = solved = 0
    for name, task in by_id.items():
        record = records[name]
        sampled = [message for message in record.messages if message.sampled]
        results = {message.parent: message for message in record.messages if message.role == "tool"}
        answers += len(sampled)
        valid += sum(_valid(message, results) for message in sampled)
        tested += any(_called(message, "runTests") and _valid(message, results) for message in sampled)
        verified += record.outcome.verified is True
        solved += solves(task, patch_of(record), checkouts / f"loop__{name}")
    return Score(len(by_id), answers, valid, tested, verified, solved)


def _called(message: Message, name: str) -> bool:
    return any(call.function.name == name for call in message.tool_calls)


def _valid(message: Message, results: dict[str | None, Message]) -> bool:
    """The message holds calls and the first one was carried out."""
    answer = results.get(message.id)
    return bool(message.tool_calls) and answer is not None and answer.error is None


def patch_of(record: Trajectory) -> str:
    """The text of the selected patch; empty where none was selected."""
    if record.selected is None:
        return ""
    return next((entry.text or "" for entry in record.patches if entry.id == record.selected.patch), "")


def solves(task: Task, patch: str, checkout: Path) -> bool:
    """Whether the checkout with the patch passes the hidden inputs."""
    if not patch.strip():
        return False
    with tempfile.TemporaryDirectory(prefix="loop-") as folder:
        place = Path(folder) / "work"
        subprocess.run(["git", "clone", "-q", str(checkout), str(place)], check=True)
        applied = subprocess.run(["git", "apply", "-"], cwd=place, input=patch.encode(), capture_output=True)
        if applied.returncode:
            return False
        command = [sys.executable, "-c", task.hidden]
        return subprocess.run(command, cwd=place, capture_output=True, timeout=60).returncode == 0


def table(rows: Iterable[tuple[str, Score]]) -> str:
    """Markdown."""
    return "\n".join([HEAD, *(found.row(name) for name, found in rows)])
