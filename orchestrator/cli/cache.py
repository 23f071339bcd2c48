"""`swe-agent cache`: list, clean."""

from __future__ import annotations

from pathlib import Path

import typer

from .help import CommandApp

app = CommandApp(help="List or clean what is cached: environments.")
_FOLDER = typer.Option(None, "--cache", help="Cache folder (default: the user's).")


@app.command("list")
def list_(
    cache: Path = _FOLDER, json_: bool = typer.Option(False, "--json", help="A JSON object a line.")
) -> int:
    """What lies in the cache: size, days since its last use, whether it is whole; the largest last."""
    from ..report.output import print_json
    from ..solving.cache import entries

    found = entries(cache)
    for entry in found:
        if json_:
            print_json(entry.to_json())
        else:
            print(f"{entry.bytes / 1e6:>9.1f} MB  {entry.idle_days:>5.1f} d  {entry.state:<10} {entry.name}")
    if not json_:
        print(f"{sum(entry.bytes for entry in found) / 1e6:>9.1f} MB  in {len(found)} entries")
    return 0


@app.command()
def clean(
    cache: Path = _FOLDER,
    older_than: float = typer.Option(
        None, "--older-than", min=0, help="Also what was not used for this many days."
    ),
    all_: bool = typer.Option(False, "--all", help="Also everything else that nobody is building."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would go."),
) -> int:
    """Remove what a build left unfinished; with --older-than or --all whole environments too. What is being
    built stays. A run that uses an environment meanwhile loses it: clean when none runs."""
    from ..solving.cache import clean as clean_cache

    removed = clean_cache(cache, older_than=0.0 if all_ else older_than, dry_run=dry_run)
    for entry in removed:
        print(f"{'would remove' if dry_run else 'removed'} {entry.name} ({entry.bytes / 1e6:.1f} MB)")
    print(f"{sum(entry.bytes for entry in removed) / 1e6:.1f} MB {'could be freed' if dry_run else 'freed'}")
    return 0
