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
        list[str] | None,
        typer.Option(
            metavar="[FOLDER=]REPORT",
            help="Who was resolved, where the files do not say: a SWE-bench report or a folder of */report.json; of FOLDER's files alone. Repeatable.",
        ),
    ] = None,
) -> None:
    """Turn trajectories of other programs into records; export reads them like runs of our own."""
    from ..record.trajectory_file import write_trajectories
    from ..training.imports.files import read_files
    from ..training.imports.verdicts import Verdicts

    doubts: list[str] = []
    silent: list[str] = []
    read = read_files(files, Verdicts.read(report or ()), on_doubt=doubts.append, on_silence=silent.append)
    count = write_trajectories(out, read)
    typer.echo(f"{out}: {count} records")
    if silent:
        typer.echo(
            f"swe-agent: left out {len(silent)} trajectories in which no model answered ({silent[0]})",
            err=True,
        )
    if doubts:
        typer.echo(
            f"swe-agent: no verdict for {len(doubts)} instances with several trajectories ({doubts[0]}...): "
            "say whose report it is: --report FOLDER=REPORT",
            err=True,
        )
