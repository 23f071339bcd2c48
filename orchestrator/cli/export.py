"""swe-agent export: runs as training data or predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .help import CommandApp
from .names import format_names, run_names

if TYPE_CHECKING:
    from ..training.export.export import Exported

app = CommandApp()

NEEDS = {
    "sft": "no path that --only keeps",
    "sft_pc": "no path that --only keeps",
    "sft_tokens": "no path that --only keeps has token ids of the endpoint",
    "dpo": "it needs two attempts at one prompt whose rewards differ by --min-margin (--samples makes them)",
    "reward": "it needs two attempts at one prompt whose rewards differ by --min-margin (--samples makes them)",
    "rollouts": "no sample has token ids of the endpoint",
}
"""What a kind needs that the runs did not hold."""


@app.command()
def export(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Run directories, batch directories or .jsonl files of records.", autocompletion=run_names
        ),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            autocompletion=format_names,
            help="sft, sft_pc, sft_tokens, dpo, kto, reward, orm, prm, grpo, rollouts, acecoder, cure, atif, preds or all; repeatable.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Directory to write.")] = None,
    only: Annotated[
        Literal["resolved", "verified", "unfailed", "all"],
        typer.Option(help="Paths to imitate; unfailed: no test speaks against."),
    ] = "unfailed",
    reward: Annotated[
        str | None,
        typer.Option(help="Reward of every kind: a specification (TOML, JSON) or FILE.py:FUNCTION."),
    ] = None,
    min_margin: Annotated[
        float, typer.Option(min=0.0, help="Least difference of rewards that makes a pair.")
    ] = 0.05,
    min_reward: Annotated[float | None, typer.Option(help="Leave out what earned less.")] = None,
    max_per_instance: Annotated[int | None, typer.Option(min=1, help="Rows per instance and kind.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Leave out longer rows (trainers cut them).")
    ] = None,
    max_growth: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Most text of sft_pc, dpo, kto, reward: times the record; 0: every row, each with its prompt.",
        ),
    ] = 1.0,
    split: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of instances held out as test.jsonl.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the split and the shuffle.")] = 0,
    include_offline: Annotated[
        bool, typer.Option("--include-offline", help="Keep steps that no language model sampled.")
    ] = False,
    allow_benchmark: Annotated[
        bool, typer.Option("--allow-benchmark", help="Export benchmark instances all the same.")
    ] = False,
    trainer: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Also in the shape of ms-swift, llama-factory, skyrl, slime, nemo-gym, prime-rl or verifiers, in for-TRAINER/.",
        ),
    ] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Parquet files beside the JSON lines.")] = False,
    verify: Annotated[Path | None, typer.Option(help="Only re-check this export directory.")] = None,
    push: Annotated[
        str | None, typer.Option(metavar="REPO", help="Upload to this dataset repository.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Create the repository public.")] = False,
) -> None:
    """Turn runs into training data or predictions."""
    from ...tools.errors import UsageError

    if verify is not None:
        from ..training.export.verify import verify as check

        for name, rows in check(verify).items():
            typer.echo(f"{name}: {rows} rows, as exported")
        return
    if not runs or not format or out is None:
        raise UsageError(
            "say what to export: swe-agent export RUN... --format sft --out DIR (or --verify DIR)"
        )
    from ..record.trajectory_file import read_runs
    from ..training.export.export import export as write
    from ..training.export.options import ExportOptions
    from ..training.rewards.function import load_reward
    from ..training.rewards.spec import RewardSpec

    losses: list[str] = []

    def lost(what: str) -> None:
        losses.append(what)
        typer.echo(f"swe-agent: {what}", err=True)

    options = ExportOptions(
        only=only,
        reward=RewardSpec() if reward is None else load_reward(reward),
        min_reward=min_reward,
        min_margin=min_margin,
        max_growth=max_growth,
        max_per_instance=max_per_instance,
        max_tokens=max_tokens,
        split=split,
        seed=seed,
        include_offline=include_offline,
        allow_benchmark=allow_benchmark,
    )
    names = [name for given in format for name in given.split(",")]
    if trainer is not None:
        from ..training.export.trainers import check_trainer

        check_trainer(trainer, names)
    records = (record for run in runs for record in read_runs(located(run), on_loss=lost))
    done = write(records, names, out, options, losses=losses)
    for name, rows in done.rows.items():
        typer.echo(f"{done.folder / name}: {rows} rows")
    _tell(done)
    if trainer is not None:
        from ..training.export.trainers import for_trainer

        made = for_trainer(done.folder, trainer, options)
        for path in made.files:
            typer.echo(str(path))
        if why := ", ".join(f"{reason} {count}" for reason, count in made.rollouts.to_json().items()):
            typer.echo(f"swe-agent: rollouts for {trainer}: left out {why}", err=True)
    if parquet:
        from ..training.export.parquet import to_parquet

        for path in to_parquet(done.folder):
            typer.echo(str(path))
    if push is not None:
        from ..training.export.hub import push as upload

        typer.echo(upload(done.folder, push, private=not public))


def _tell(done: Exported) -> None:
    """What was left out and why, per kind, on stderr."""
    for kind, reasons in done.manifest["dropped"].items():
        if reasons:
            why = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
            hint = " (--include-offline keeps them)" if "offline" in reasons else ""
            typer.echo(f"swe-agent: {kind}: left out {why}{hint}", err=True)
        elif not any(count for name, count in done.rows.items() if name.startswith(f"{kind}/")):
            typer.echo(
                f"swe-agent: {kind}: no rows; {NEEDS.get(kind, 'the runs hold nothing of it')}", err=True
            )
    if done.manifest["redacted"]:
        typer.echo(f"swe-agent: secrets removed: {done.manifest['redacted']}", err=True)


def located(run: Path) -> Path:
    """A path as it is, else the name of a run under the runs root (`last` is the newest)."""
    if run.exists():
        return run
    from ..solving.run_directory import RunDirectory

    return RunDirectory.existing(str(run)).path
