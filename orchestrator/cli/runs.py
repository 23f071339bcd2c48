"""`swe-agent runs`: list, show, rm, gc, diff, stats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ...tools.excerpt import printable
from ..report.output import print_json, write_text
from .help import CommandApp
from .names import run_names

app = CommandApp(help="List, show, remove or clean up runs.")


@app.command("list")
def list_(
    limit: int = typer.Option(20, "--limit", "-n", min=1, help="Runs at most."),
    json_: bool = typer.Option(False, "--json", help="A JSON object a line."),
) -> int:
    """Runs under the state folder, newest first: time, outcome, seconds, cost, repository, model."""
    import shutil
    import sys

    from ..report.run_list import describe
    from ..solving.run_directory import all_runs, runs_root

    runs = sorted((describe(run) for run in all_runs()), key=lambda line: line.begun, reverse=True)
    if json_:
        for run in runs[:limit]:
            print_json({**run.to_json(), "run": run.path})
        return 0
    if not runs:
        print(f"no run yet under {runs_root()}", file=sys.stderr)
    ended = [run for run in runs if run.outcome != "failed"]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for run in ended[:limit]:
        print(run.shown(columns))
    failed = [run for run in runs if run.outcome == "failed"]
    if failed:
        print(f"{len(failed)} that failed before they came to a result:")
        for run in failed[:limit]:
            print(f"{run.begun}  {run.name}  {printable(run.status)}")
    if len(ended) > limit:
        print(f"{len(ended) - limit} older runs: --limit {len(ended)}", file=sys.stderr)
    return 0


@app.command()
def show(
    run: str = typer.Argument(help="A run: a path, a name, or last.", autocompletion=run_names),
    json_: bool = typer.Option(False, "--json", help="The whole record as one JSON object."),
) -> int:
    """What a run did."""
    from ..record.build import build_record
    from ..record.log import read_events
    from ..request import LISTED, SolveRequest
    from ..solving.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    if json_:
        print(build_record(read_events(directory.events)).model_dump_json())
        return 0
    summary = directory.read()
    result: dict[str, Any] = summary.get("result") or {}
    request = SolveRequest.from_json(summary["request"])
    print(f"run:      {directory.path}")
    print(f"issue:    {request.issue.id}: {printable(request.issue.title)}")
    print(f"model:    {request.model}   roles: {request.roles}   search: {request.search}")
    print(f"status:   {printable(summary['status'])}")
    for name in LISTED:
        for test in result.get(name, []):
            print(f"{name.replace('_', ' ') + ':':<14} {printable(test)}")
    if result.get("confidence") is not None:
        print(f"confidence: {result['confidence']:.2f}  {'; '.join(result['reasons'])}")
    counts: dict[str, int] = {}
    for event in read_events(directory.events):
        counts[event["type"]] = counts.get(event["type"], 0) + 1
    print("events:   " + ", ".join(f"{count} {type}" for type, count in sorted(counts.items())))
    write_text(directory.read_patch())
    return 0


@app.command()
def rm(runs: list[str] = typer.Argument(help="Runs: paths or names.", autocompletion=run_names)) -> int:
    """Remove runs and everything in them."""
    import shutil

    from ..solving.run_directory import RunDirectory

    for name in runs:
        directory = RunDirectory.existing(name).claim()
        directory.clear_work()
        directory.release()
        shutil.rmtree(directory.path)
        print(f"removed {directory.path}")
    return 0


@app.command()
def gc(
    output: list[Path] = typer.Option([], help="Further folders with runs (those given as --output)."),
) -> int:
    """Remove what killed runs left behind: processes, mounts, containers, scratch folders."""
    from ...tools.sandbox.leftovers import find_leftovers, remove_leftovers
    from ..solving.run_directory import runs_root

    count = 0
    for root in (runs_root(), *output):
        found = find_leftovers(root) if root.exists() else []
        for item in found:
            print(f"removing {item}")
        remove_leftovers(found)
        count += len(found)
    print(f"{count} leftovers removed")
    return 0


@app.command()
def diff(
    first: str = typer.Argument(help="A run: a path, a name, or last.", autocompletion=run_names),
    second: str = typer.Argument(help="Another.", autocompletion=run_names),
) -> int:
    """Two runs side by side: outcome, tests, cost, and how their patches differ."""
    import difflib

    from ..report.run_list import compare
    from ..solving.run_directory import RunDirectory

    runs = [RunDirectory.existing(name) for name in (first, second)]
    for what, a, b in compare(runs[0], runs[1]):
        print(f"{what:<15} {a:<32} {b}")
    texts = [run.read_patch().splitlines(keepends=True) for run in runs]
    write_text("".join(difflib.unified_diff(*texts, fromfile=first, tofile=second)))
    return 0


@app.command()
def stats() -> int:
    """Counts of outcomes over all runs."""
    from collections import Counter

    from ..solving.run_directory import all_runs

    summaries = [run.read() for run in all_runs()]
    codes = Counter((summary.get("result") or {}).get("exit_code") for summary in summaries)
    for code, count in sorted(codes.items(), key=lambda item: (item[0] is None, item[0] or 0)):
        print(f"exit {'unfinished' if code is None else code}: {count}")
    print(f"runs: {len(summaries)}")
    return 0
