"""How many known bugs does the offline repair engine fix, how right are its first patches, how fast is it?

    python bench/offline_repair.py quixbugs CHECKOUT --out DIR
    python bench/offline_repair.py humanevalfix FILE.jsonl --out DIR
    python bench/offline_repair.py speed

Every task is a git repository of its own, worked on in a real sandbox through `propose`. Results are kept
in DIR/results.jsonl as they come; the same call goes on where an interrupted one stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from repair_check import check
from repair_tasks import Task, humanevalfix, quixbugs

from swe_agent.agents.offline.propose import EFFORT, Proposal, propose
from swe_agent.tools.project.spec import Project, TestCommand
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.workspace import Workspace


def project_of_this_interpreter() -> Project:
    """The interpreter that runs this program, which must have pytest."""
    prefixes = dict.fromkeys((Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_prefix).resolve()))
    return Project(
        test_command=TestCommand("python -m pytest -q", "pytest"),
        python=Path(sys.executable),
        read_only=tuple(path for path in prefixes if not path.is_relative_to("/usr")),
        env={"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"},
    )


@contextmanager
def workspace_of(files: Mapping[str, str], project: Project, kind: str) -> Iterator[Workspace]:
    """A repository with these files, open in a sandbox."""
    with tempfile.TemporaryDirectory(prefix="repair-", ignore_cleanup_errors=True) as folder:
        source, scratch = Path(folder) / "source", Path(folder) / "scratch"
        scratch.mkdir()
        for name, text in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
            subprocess.run(["git", *identity, *command], cwd=source, check=True, capture_output=True)
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=source, check=True, capture_output=True, text=True
        ).stdout.strip()
        spec = SandboxSpec(source=source, scratch=scratch, read_only=project.read_only, env=dict(project.env))
        with open_sandbox(kind, spec) as sandbox:
            yield Workspace(sandbox, commit, env=project.env)


def solve(task: Task, project: Project, arguments: argparse.Namespace) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"task": task.name, "group": task.group}
    with workspace_of(task.files, project, arguments.sandbox) as workspace:
        found = propose(
            workspace,
            project,
            task.failing,
            k=arguments.patches,
            issue_text=task.issue,
            effort=arguments.limit,
            seed=arguments.seed,
            workers=arguments.workers,
        )
    row |= {
        "plausible": bool(found.patches),
        "correct": None,
        "seconds": round(found.seconds, 2),
        "first_s": found.seconds_to_first,
        "tried": found.tried,
        "per_s": found.candidates_per_s,
        "template": None,
        "message": found.message,
        "statistics": dict(found.statistics),
    }
    patches = [_judged(task, proposal, arguments.seed) for proposal in found.patches]
    return {**row, **patches[0], "patches": patches} if patches else row


def _judged(task: Task, proposal: Proposal, seed: int) -> dict[str, Any]:
    """A patch held against the reference."""
    seen = check(task, proposal.patch.after.get(task.source) or task.files[task.source], seed=seed)
    return {
        "patch": proposal.patch.text,
        "template": proposal.template,
        "correct": seen.same,
        "compared": seen.compared,
        "difference": seen.difference,
    }


def run(tasks: Sequence[Task], arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    log = out / "results.jsonl"
    rows: dict[str, dict[str, Any]] = {}
    if log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows[row["task"]] = row
    project = project_of_this_interpreter()
    wanted = [task for task in tasks if not arguments.only or task.name in arguments.only]
    wanted = wanted[arguments.offset :: arguments.every]
    started, done_before = time.monotonic(), len(rows)
    for number, task in enumerate(wanted, 1):
        if task.name in rows:
            continue
        row = solve(task, project, arguments)
        rows[task.name] = row
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        _bar(number, len(wanted), rows, started, len(rows) - done_before)
    table = _table([rows[task.name] for task in wanted if task.name in rows])
    (out / "table.md").write_text(table, encoding="utf-8")
    print(table)


def _bar(number: int, total: int, rows: Mapping[str, Any], started: float, fresh: int) -> None:
    filled = 24 * number // total
    left = (time.monotonic() - started) / max(fresh, 1) * (total - number)
    good = sum(row["plausible"] for row in rows.values())
    right = sum(bool(row["correct"]) for row in rows.values())
    text = f"[{'#' * filled}{'.' * (24 - filled)}] {number}/{total} plausible {good} correct {right}, {left:.0f} s left"
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<90}", end=end, file=sys.stderr, flush=True)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| task | group | plausible | correct | first s | candidates | per s | template |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        first = f"{row['first_s']:.2f}" if row["first_s"] is not None else "-"
        rate = f"{row['per_s']:.0f}" if row["per_s"] else "-"
        right = {True: "yes", False: "no", None: "-"}[row["correct"]]
        lines.append(
            f"| {row['task']} | {row['group']} | {'yes' if row['plausible'] else 'no'} | {right} | {first} "
            f"| {row['tried']} | {rate} | {row['template'] or '-'} |"
        )
    groups = sorted({row["group"] for row in rows})
    lines += ["", "| group | tasks | plausible | correct |", "|---|---|---|---|"]
    for group in groups:
        part = [row for row in rows if row["group"] == group]
        good, right = sum(r["plausible"] for r in part), sum(bool(r["correct"]) for r in part)
        lines.append(f"| {group} | {len(part)} | {good} | {right} |")
    firsts = sorted(row["first_s"] for row in rows if row["first_s"] is not None)
    tried = sum(row["tried"] for row in rows)
    if firsts:
        p90 = firsts[min(len(firsts) - 1, int(0.9 * len(firsts)))]
        lines += ["", f"seconds to the first patch: median {statistics.median(firsts):.2f}, p90 {p90:.2f}"]
        rates = [row["per_s"] for row in rows if row["per_s"]]
        lines.append(
            f"candidates tried: {tried}; candidates per second: median {statistics.median(rates):.0f}"
        )
    lines.append(f"plausible {sum(row['plausible'] for row in rows)}/{len(rows)}")
    lines.append(f"correct {sum(bool(row['correct']) for row in rows)}/{len(rows)}")
    unknown = [row["task"] for row in rows if row["plausible"] and row["correct"] is None]
    if unknown:
        lines.append(f"the check itself failed, so that these are not known: {', '.join(unknown)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("quixbugs", "humanevalfix"):
        command = commands.add_parser(name)
        command.add_argument("data", type=Path, help="checkout" if name == "quixbugs" else "JSON lines file")
        command.add_argument("--limit", type=int, default=EFFORT, help="candidates for each task at most")
        command.add_argument(
            "--out", type=Path, required=True, help="folder for results; the same one resumes"
        )
        command.add_argument(
            "--patches", type=int, default=5, help="patches asked for, as a run does; the first is the answer"
        )
        command.add_argument("--only", action="append", default=[], help="name of a task; may be repeated")
        command.add_argument("--every", type=int, default=1, help="take each N-th task")
        command.add_argument("--offset", type=int, default=0, help="begin with this task")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--workers", type=int, default=None, help="default: the processors")
        command.add_argument("--sandbox", default="auto", choices=("auto", "namespace", "plain"))
    speed = commands.add_parser("speed", help="warm candidates per second against one cold pytest for each")
    speed.add_argument("--cold", type=int, default=20, help="cold runs to time")
    speed.add_argument("--seconds", type=float, default=20.0, help="time for the warm search")
    speed.add_argument("--sandbox", default="auto", choices=("auto", "namespace", "plain"))
    arguments = parser.parse_args()
    if arguments.command == "speed":
        from repair_speed import measure

        measure(arguments, project_of_this_interpreter(), workspace_of)
    elif arguments.command == "quixbugs":
        run(list(quixbugs(arguments.data)), arguments)
    else:
        run(list(humanevalfix(arguments.data)), arguments)


if __name__ == "__main__":
    main()
