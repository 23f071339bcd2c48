"""`swe-agent replay`."""

from __future__ import annotations

from pathlib import Path

import typer

from .help import CommandApp
from .names import run_names

app = CommandApp()


@app.command()
def replay(
    run: str = typer.Argument(help="A finished run: a path, a name, or last.", autocompletion=run_names),
    repo: Path = typer.Option(None, help="Checkout to replay on (default: the one that was solved)."),
    output: Path = typer.Option(None, help="Run directory of the replay."),
    from_step: int = typer.Option(0, "--from-step", help="Show tool calls from this one on."),
) -> int:
    """Run a recorded run again with no model. Exit 0 when patch and tree are byte-identical; else the line
    on stderr says where the replay diverges."""
    from ..report.screen import Screen
    from ..solving.replay import replay_run
    from ..solving.run_directory import RunDirectory

    outcome = replay_run(RunDirectory.existing(run), repo, output, Screen(from_step=from_step))
    print(outcome.line)
    return 0 if outcome.identical else 4
