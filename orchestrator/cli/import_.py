"""swe-agent import: trajectories of other programs as records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .help import CommandApp

app = CommandApp()


@app.command()
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(help="SWE-agent .traj, mini-swe-agent .traj.json, OpenHands output.jsonl, ATIF."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of records (.jsonl) to write.")],
    report: Annotated[
        Path | None,
        typer.Option(
            help="SWE-bench report with resolved_ids: who was resolved, where the files do not say."
        ),
    ] = None,
) -> None:
    """Turn trajectories of other programs into records; export reads them like runs of our own."""
    from ..record.trajectory_file import write_trajectories
    from ..training.imports.files import read_files, verdicts

    records = read_files(files, verdicts(report) if report is not None else None)
    count = write_trajectories(out, records)
    typer.echo(f"{out}: {count} records")
