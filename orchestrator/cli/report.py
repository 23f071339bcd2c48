"""`swe-agent report`."""

from __future__ import annotations

from pathlib import Path

import typer

from .help import CommandApp
from .names import run_names

app = CommandApp()


@app.command()
def report(
    run: str = typer.Argument(
        help="A run (a path, a name, or last) or the folder of a batch.", autocompletion=run_names
    ),
    html: Path = typer.Option(None, help="File to write, - is stdout (default: report.html in the folder)."),
    with_: Path = typer.Option(None, "--with", help="Another batch to compare a batch with."),
) -> int:
    """Write one offline HTML page about a run or a batch."""
    import sys

    from ...tools.errors import UsageError
    from ...tools.files import write_atomically
    from ..pages.batch_page import batch_page, collect_batch
    from ..pages.index_page import is_batch
    from ..pages.run_page import run_page
    from ..solving.run_directory import RunDirectory

    if is_batch(Path(run)):
        folder = Path(run)
        page = batch_page(collect_batch(folder), collect_batch(with_) if with_ is not None else None)
    else:
        if with_ is not None:
            raise UsageError(f"--with compares batches, and {run} is none: see `swe-agent runs diff`")
        directory = RunDirectory.existing(run)
        folder, page = directory.path, run_page(directory)
    if html == Path("-"):
        sys.stdout.buffer.write(page)
        return 0
    target = html or folder / "report.html"
    if not target.parent.is_dir():
        raise UsageError(f"cannot write --html {target}: no such folder {target.parent}")
    try:
        write_atomically(target, page)
    except OSError as error:
        raise UsageError(f"cannot write --html {target}: {error.strerror}") from error
    print(target)
    return 0
