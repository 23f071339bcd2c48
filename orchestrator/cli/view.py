"""`swe-agent view`."""

from __future__ import annotations

from pathlib import Path

import typer

from .help import CommandApp

app = CommandApp()


@app.command()
def view(
    folder: Path = typer.Argument(None, help="A run, a batch or a folder of them (default: all runs)."),
    port: int = typer.Option(0, help="Port on 127.0.0.1; 0 is any that is free.", min=0, max=65535),
    browser: bool = typer.Option(False, "--browser", help="Open the address in a browser."),
) -> int:
    """Serve pages of runs and batches on this machine, live while they run."""
    from ...tools.errors import UsageError
    from ..pages.server import PageServer
    from ..solving.run_directory import runs_root

    root = folder or runs_root()
    if not root.is_dir():
        what = "is not a folder" if folder else "does not exist yet: solve an issue first, or name a folder"
        raise UsageError(f"{root} {what}")
    try:
        server = PageServer(root, port)
    except OSError as error:
        raise UsageError(f"--port {port} cannot be used: {error.strerror}") from error
    print(server.address, flush=True)
    if browser:
        import webbrowser

        webbrowser.open(server.address)
    with server:
        server.serve_forever()
    return 0
