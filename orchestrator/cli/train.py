"""swe-agent train: TRL on an export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .help import CommandApp

app = CommandApp()


@app.command()
def train(
    method: Annotated[
        Literal["sft", "dpo", "kto", "reward", "grpo", "prm", "verifier"],
        typer.Argument(help="How to train."),
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="verifier: runs, batch directories or .jsonl files of records."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="An export directory (all but verifier).")] = None,
    base_model: Annotated[
        str | None, typer.Option(help="Model id or local directory (all but verifier).")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="verifier: a SWE-bench report on the patches that the runs selected.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Where the model and the script go.")] = Path("trained"),
    source: Annotated[
        str | None, typer.Option("--from", help="Rows to train on: sft|sft_pc|sft_tokens|orm, grpo|rollouts.")
    ] = None,
    lora: Annotated[bool, typer.Option("--lora", help="Train LoRA adapters on all linear layers.")] = False,
    lora_rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters.")] = 16,
    learning_rate: Annotated[
        float | None, typer.Option(help="Default by method; ten times that with LoRA.")
    ] = None,
    epochs: Annotated[float, typer.Option(min=0.0, help="Passes over the rows.")] = 1.0,
    max_steps: Annotated[int, typer.Option(help="-1: by epochs.")] = -1,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Per device; 4 for kto, else 1 unless given.")
    ] = None,
    accumulation: Annotated[int, typer.Option(min=1, help="Gradient accumulation steps.")] = 8,
    max_length: Annotated[int | None, typer.Option(min=1, help="Cut rows; default: cut nothing.")] = None,
    beta: Annotated[float, typer.Option(help="dpo, kto.")] = 0.1,
    loss: Annotated[str, typer.Option(help="dpo: sigmoid, ipo, hinge and TRL's others.")] = "sigmoid",
    generations: Annotated[int, typer.Option(min=2, help="grpo: rollouts per prompt.")] = 4,
    max_completion_length: Annotated[int, typer.Option(min=1, help="grpo: tokens of one rollout.")] = 4096,
    max_tool_calls: Annotated[int, typer.Option(min=1, help="grpo: tool calls of one rollout.")] = 30,
    vllm: Annotated[bool, typer.Option("--vllm", help="grpo: generate with a vLLM server.")] = False,
    repositories: Annotated[Path | None, typer.Option(help="grpo: folder of checkouts, by name.")] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, more time.")
    ] = False,
    qlora: Annotated[
        bool, typer.Option("--qlora", help="LoRA on 4-bit weights (bitsandbytes, a CUDA GPU).")
    ] = False,
    merge: Annotated[bool, typer.Option("--merge", help="Write the merged model to OUTPUT/merged.")] = False,
    save_steps: Annotated[
        int, typer.Option(min=1, help="Steps between checkpoints and evaluations on test.jsonl.")
    ] = 100,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    seed: Annotated[int, typer.Option(help="Of the order of the rows and of new weights.")] = 0,
    accelerate: Annotated[
        str | None, typer.Option(help="deepspeed_zero2, deepspeed_zero3, fsdp, multi_gpu or a file.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the script and stop.")] = False,
) -> None:
    """Train on an export with TRL, or a small verifier on runs (scikit-learn)."""
    from ...tools.errors import UsageError

    if method == "verifier":
        if not runs or data is not None or base_model is not None:
            raise UsageError(
                "say what to learn from: swe-agent train verifier RUN... [--report FILE] --output FILE.json"
            )
        _verifier(runs, report, output, seed)
        return
    if data is None or base_model is None or runs or report is not None:
        raise UsageError(f"say what to train: swe-agent train {method} --data DIR --base-model MODEL")
    from ..training.recipes.recipe import Recipe, accelerate_config, run

    recipe = Recipe(
        method=method,
        data=data,
        model=base_model,
        output=output,
        source=source,
        lora=lora,
        lora_rank=lora_rank,
        learning_rate=learning_rate,
        epochs=epochs,
        max_steps=max_steps,
        batch_size=batch_size,
        accumulation=accumulation,
        max_length=max_length,
        beta=beta,
        loss=loss,
        generations=generations,
        max_completion_length=max_completion_length,
        max_tool_calls=max_tool_calls,
        vllm=vllm,
        repositories=repositories,
        gradient_checkpointing=gradient_checkpointing,
        qlora=qlora,
        merge=merge,
        save_steps=save_steps,
        resume=resume,
        seed=seed,
    )
    if dry_run:
        if accelerate is not None:
            accelerate_config(accelerate)
        typer.echo(recipe.script(), nl=False)
        return
    status = run(recipe, accelerate=accelerate)
    if status:
        from ...tools.errors import SweAgentError

        raise SweAgentError(f"the training script ended with status {status}: {output / 'train.py'}")


def _verifier(runs: list[Path], report: Path | None, output: Path, seed: int) -> None:
    from ...tools.files import write_atomically
    from ..record.trajectory_file import read_runs
    from ..training.imports.verdicts import read_report
    from ..verifiers.fit import examples, fit
    from .export import located

    target = output if output.suffix == ".json" else output / "verifier.json"
    verdicts = read_report(report) if report is not None else None
    records = (record for run in runs for record in read_runs(located(run)))
    found = fit(list(examples(records, verdicts)), target.stem, seed=seed)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, found.model_dump_json(by_alias=True, indent=1) + "\n")
    quality = found.quality
    typer.echo(
        f"{target}: {quality.rows} candidates of {quality.instances} instances, {quality.right} right; held out: Brier "
        f"{quality.brier:.3f} ({quality.brier_of_rate:.3f} without it), calibration error {quality.calibration_error:.3f}, "
        f"AUC {quality.auc:.2f}"
    )
