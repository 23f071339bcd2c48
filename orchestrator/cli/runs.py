"""`swe-agent runs`: list, show, rm, gc, diff, stats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ...tools.excerpt import printable
from ..report.output import print_json, write_text

app = typer.Typer(add_completion=False, no_args_is_help=True, help="List, show, remove or clean up runs.")


@app.command("list")
def list_(json_: bool = typer.Option(False, "--json", help="A JSON object a line.")) -> int:
    """Every run under the state folder, newest last."""
    from ..solving.run_directory import all_runs

    for run in all_runs():
        summary = run.read()
        result = summary.get("result") or {}
        if json_:
            print_json({"run": str(run.path), "status": summary.get("status"), **result})
        else:
            code = result.get("exit_code")
            status = printable(str(summary.get("status", "")))
            print(f"{run.path.name:<60} {'-' if code is None else code:>3}  {status}")
    return 0


@app.command()
def show(
    run: str = typer.Argument(help="A run: a path, a name, or last."),
    json_: bool = typer.Option(False, "--json", help="The whole record as one JSON object."),
) -> int:
    """What a run did."""
    from ..record.build import build_record
    from ..record.log import read_events
    from ..solving.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    if json_:
        print(build_record(read_events(directory.events)).model_dump_json())
        return 0
    summary = directory.read()
    result: dict[str, Any] = summary.get("result") or {}
    request = summary["request"]
    print(f"run:      {directory.path}")
    print(f"issue:    {request['issue']['id']}: {printable(request['issue']['title'])}")
    print(f"model:    {request['model']}   roles: {request['roles']}   search: {request['search']}")
    print(f"status:   {printable(summary['status'])}")
    for name in ("fixed", "broken", "still_failing", "flaky"):
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
def rm(runs: list[str] = typer.Argument(help="Runs: paths or names.")) -> int:
    """Remove runs and everything in them."""
    import shutil

    from ..solving.run_directory import RunDirectory

    for name in runs:
        directory = RunDirectory.existing(name).claim()
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
def diff(first: str = typer.Argument(), second: str = typer.Argument()) -> int:
    """How the patches of two runs differ."""
    import difflib

    from ..solving.run_directory import RunDirectory

    texts = [RunDirectory.existing(name).read_patch().splitlines(keepends=True) for name in (first, second)]
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
