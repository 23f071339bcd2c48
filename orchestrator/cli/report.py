"""`swe-agent report`."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command()
def report(
    run: str = typer.Argument(help="A run: a path, a name, or last."),
    html: Path = typer.Option(None, help="File to write, - is stdout (default: report.html in the run)."),
) -> int:
    """Write one offline HTML page about a run."""
    import sys

    from ...tools.errors import UsageError
    from ..report.html import report_page, write_report
    from ..solving.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    if html == Path("-"):
        sys.stdout.buffer.write(report_page(directory))
        return 0
    target = html or directory.path / "report.html"
    try:
        write_report(directory, target)
    except OSError as error:
        raise UsageError(f"cannot write --html {target}: {error.strerror}") from error
    print(target)
    return 0
