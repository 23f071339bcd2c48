"""`swe-agent report`."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command()
def report(
    run: str = typer.Argument(help="A run: a path, a name, or last."),
    html: Path = typer.Option(None, help="File to write (default: report.html in the run)."),
) -> int:
    """Write one offline HTML page about a run."""
    from ..report.html import write_report
    from ..run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    target = html or directory.path / "report.html"
    write_report(directory, target)
    print(target)
    return 0
