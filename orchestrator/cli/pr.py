"""`swe-agent pr`."""

from __future__ import annotations

from typing import Literal

import typer

from .help import CommandApp
from .names import run_names

app = CommandApp()


@app.command()
def pr(
    run: str = typer.Argument(help="A run: a path, a name, or last.", autocompletion=run_names),
    ready: bool = typer.Option(False, "--ready", help="No draft."),
    fork: Literal["auto", "never"] = typer.Option("auto", help="Push to a fork without push permission."),
    force: bool = typer.Option(
        False,
        "--force",
        help="Even if the issue is closed, locked or assigned, or the patch is not verified.",
    ),
) -> int:
    """Open a pull request with the patch of a run."""
    from ...tools.errors import UsageError
    from ..request import SolveRequest, SolveResult
    from ..solving.delivery import open_pr
    from ..solving.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    summary = directory.read()
    result = summary.get("result")
    if not result or not result["patch"]:
        raise UsageError(f"{run} has no finished patch: there is nothing to publish")
    if not result["verified"] and not force:
        raise UsageError(f"the patch of {run} is not verified: look at it first, then use --force")
    request = SolveRequest.from_json(summary["request"])
    if request.issue.url is None:
        raise UsageError(
            f"{run} solved an issue of no forge ({request.issue.source}): `pr` needs a run of --issue URL"
        )
    print(open_pr(request.issue, SolveResult.from_json(result), ready=ready, fork=fork, force=force))
    return 0
