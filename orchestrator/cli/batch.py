"""`swe-agent batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def batch(
    dataset: str = typer.Option(
        None,
        help="verified, lite, full, multilingual, multimodal, swe-gym, swe-smith, "
        "swe-rebench, a .json/.jsonl/.parquet file, - or a hub id.",
    ),
    split: str = typer.Option(None, help="Split of a hub dataset."),
    benchmark: str = typer.Option(
        None,
        help="Read --dataset as humaneval, mbpp, humanevalfix, bigcodebench, "
        "naturalcodebench, livecodebench, mle-bench, mlagentbench or harbor.",
    ),
    instances: list[str] = typer.Option(None, help="Instance ids, comma-separated, or @FILE."),
    filter_: str = typer.Option(None, "--filter", help="Regular expression on the instance id."),
    slice_: str = typer.Option(None, "--slice", help="a:b of the instances, after filter and shuffle."),
    shuffle: bool = typer.Option(False, "--shuffle", help="Shuffle by --seed."),
    workers: int = typer.Option(1, min=1, help="Instances at once."),
    processes: int = typer.Option(
        None, min=1, help="Worker processes (default: one per worker, 16 at most)."
    ),
    output: Path = typer.Option(None, help="Directory of the batch; the same one again resumes it."),
    redo: str = typer.Option(
        "", help="Do these again: error, limit, empty, unresolved, all (comma-separated)."
    ),
    executor: str = typer.Option("local", help="local or ray."),
    eval_: bool = typer.Option(False, "--eval", help="Grade the predictions at the end."),
    repo_mirror: Path = typer.Option(
        None, help="Folder with clones named OWNER+NAME, OWNER__NAME or OWNER/NAME."
    ),
    environment: str = typer.Option("auto", help="image, native, repository, or auto."),
    cache: Path = typer.Option(None, help="Where native environments are kept (default: the user's cache)."),
    pull: str = typer.Option("missing", help="Container images: missing or never."),
    image_budget_gb: float = typer.Option(
        None, help="Disk for images that this batch pulled; older ones go."
    ),
    model: str = typer.Option(
        "offline/repair", help="Model: openai/NAME, anthropic/NAME, hosted_vllm/NAME, ..."
    ),
    name: str = typer.Option(None, help="model_name_or_path of the predictions (default: the model)."),
    role_model: str = typer.Option("", help="Models by role: coder=M,critic=M."),
    api_base: str = typer.Option(None, help="Base URL of an OpenAI-compatible endpoint."),
    fallback_models: str = typer.Option("", help="Models to fall back to, comma-separated."),
    temperature: float = typer.Option(None, help="Sampling temperature."),
    max_output_tokens: int = typer.Option(None, help="Output limit of one call."),
    reasoning_effort: str = typer.Option(None, help="low, medium or high, where the model offers it."),
    text_mode: bool = typer.Option(False, "--text-mode", help="Call tools as fenced text."),
    request_timeout: float = typer.Option(600.0, help="Seconds that one model call may take."),
    retry_time: float = typer.Option(300.0, help="Seconds that a failing call is repeated at most."),
    stream: bool = typer.Option(False, "--stream", help="Stream calls: one that falls silent is repeated."),
    token_ids: bool = typer.Option(None, "--token-ids/--no-token-ids", help="Ask for token ids (vLLM)."),
    roles: str = typer.Option("team", help="team or single."),
    search: str = typer.Option("linear", help="linear, best-of-n or tree."),
    samples: int = typer.Option(None, min=1, help="Rollouts at most per instance."),
    width: int = typer.Option(4, min=1, help="Children of one node at most (tree)."),
    proposers: str = typer.Option(None, help="llm, offline, or both, comma-separated."),
    seed: int = typer.Option(0, help="Seed of everything that is random, --shuffle included."),
    hints: bool = typer.Option(
        False, "--hints", help="Show the issue's later comments (declare it with results)."
    ),
    budget_usd: float = typer.Option(None, help="Dollars at most per instance."),
    budget_tokens: int = typer.Option(None, help="Tokens at most per instance."),
    budget_steps: int = typer.Option(None, help="Model calls at most per instance."),
    timeout: str = typer.Option(None, help="Wall time at most per instance: 90s, 30m, 2h."),
    total_budget_usd: float = typer.Option(None, help="Dollars at most of the whole batch."),
    total_timeout: str = typer.Option(None, help="Wall time at most of this call."),
    max_steps: int = typer.Option(100, min=1, help="Model calls of one role turn."),
    critic_samples: int = typer.Option(
        1, min=1, help="Times that the Critic's score is taken; 1: its review."
    ),
    retries: int = typer.Option(2, min=0, help="Further attempts after an infrastructure failure."),
    backoff: str = typer.Option("5s", help="Pause before the first further attempt; doubled each time."),
    sandbox: str = typer.Option("auto", help="auto, namespace, docker or plain."),
    network: str = typer.Option("none", help="none or on: network inside the sandbox."),
    setup: str = typer.Option(None, help="Command that sets each repository up."),
    test_cmd: str = typer.Option(None, help="Command that runs the tests of each repository."),
    ray_address: str = typer.Option(None, help="Ray cluster (default: RAY_ADDRESS, else a local one)."),
    ray_cpus: float = typer.Option(1.0, help="CPUs that one instance asks of Ray."),
    ray_memory_gb: float = typer.Option(None, help="Memory that one instance asks of Ray."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be done, and stop."),
    json_: bool = typer.Option(False, "--json", help="results.json on stdout at the end."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress on stderr."),
) -> int:
    """Solve many instances of a dataset, resumably.

    The same command with the same --output goes on where it stopped: nothing is lost and nothing is done
    twice. Exit 0: every instance has a prediction; 9: some have none (infrastructure, budget): run it
    again; 130 or 143: stopped by a signal.
    """
    flags: dict[str, Any] = dict(locals())
    from .batching import run

    return run(flags)
