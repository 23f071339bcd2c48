"""`swe-agent apply`."""

from __future__ import annotations

from pathlib import Path

import typer

from .help import CommandApp
from .names import run_names

app = CommandApp()


@app.command()
def apply(
    run: str = typer.Argument(help="A run: a path, a name, or last.", autocompletion=run_names),
    repo: Path = typer.Option(None, help="Checkout to change (default: the one that was solved)."),
    undo: bool = typer.Option(False, "--undo", help="Take the last application back."),
) -> int:
    """Apply the patch of a run to your checkout, or undo it. Nothing is staged or committed."""
    from ..report.screen import command_name
    from ..request import SolveRequest
    from ..solving.delivery import apply_patch, undo_patch
    from ..solving.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    if undo:
        print(f"taken back from {undo_patch(directory.path)}")
        return 0
    target = repo or SolveRequest.from_json(directory.read()["request"]).repository
    print(
        f"applied to {apply_patch(directory.path, target)}; {command_name()} apply {run} --undo takes it back"
    )
    return 0
