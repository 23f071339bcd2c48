"""swe-agent reward: the rewards of recorded runs under a specification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .help import CommandApp

if TYPE_CHECKING:
    from ..record.schema import Trajectory

app = CommandApp()


@app.command()
def reward(
    runs: Annotated[list[Path], typer.Argument(help="Run directories or .jsonl files of records.")],
    spec: Annotated[
        str | None,
        typer.Option(
            "--reward", "--spec", help="TOML or JSON, or FILE.py:FUNCTION; see docs/training-data.md."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the records with the new rewards to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per node.")] = False,
) -> None:
    """Recompute the rewards of runs from their records; nothing is executed."""
    from ..record.trajectory_file import read_runs, write_trajectories
    from ..training.rewards.function import load_reward
    from ..training.rewards.recompute import recompute
    from ..training.rewards.spec import RewardSpec
    from .export import located

    chosen = load_reward(spec) if spec is not None else RewardSpec()

    def told(what: str) -> None:
        typer.echo(f"swe-agent: {what}", err=True)

    def changed() -> Iterator[Trajectory]:
        for run in runs:
            for record in read_runs(located(run), on_loss=told):
                fresh = recompute(record, chosen)
                _show(fresh, as_json)
                yield fresh

    if out is not None:
        write_trajectories(out, changed())
    else:
        for _ in changed():
            pass


def _show(record: Trajectory, as_json: bool) -> None:
    for node in record.nodes:
        if node.reward is None:
            continue
        if as_json:
            typer.echo(json.dumps({"run_id": record.run_id, "node": node.id, **node.reward.model_dump()}))
            continue
        total = "not measured" if node.reward.total is None else f"{node.reward.total:.4f}"
        parts = ", ".join(
            f"{name} {'-' if part.value is None else f'{part.value:.3f}'} x {part.weight:g}"
            for name, part in node.reward.components.items()
        )
        typer.echo(f"{record.run_id} {node.id}: {total} ({parts})")
