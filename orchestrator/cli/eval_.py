"""`swe-agent eval`."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(add_completion=False)


@app.command("eval")
def evaluate(
    runs: list[str] = typer.Argument(
        None, help="Runs or prediction files; several are seeds of one setting."
    ),
    predictions: str = typer.Option(
        None, help="gold (oracle), empty (noop), a .json or .jsonl file, or a run directory."
    ),
    dataset: str = typer.Option(
        None,
        help="Dataset: an alias, a .json/.jsonl/.parquet file, - or a hub id (default: that of the run).",
    ),
    split: str = typer.Option(None, help="Split of a hub dataset."),
    benchmark: str = typer.Option(
        None,
        help="Read --dataset as humaneval, mbpp, humanevalfix, bigcodebench, "
        "naturalcodebench, livecodebench, mle-bench, mlagentbench or harbor.",
    ),
    instances: list[str] = typer.Option(None, help="Instance ids, comma-separated, or @FILE."),
    filter_: str = typer.Option(None, "--filter", help="Regular expression on the instance id."),
    slice_: str = typer.Option(None, "--slice", help="a:b of the instances."),
    repo_mirror: Path = typer.Option(
        None, help="Folder with clones named OWNER+NAME, OWNER__NAME or OWNER/NAME."
    ),
    harness: str = typer.Option("auto", help="native, official (containers), sb-cli, or auto."),
    output: Path = typer.Option(None, help="Where reports and logs go; with --compare a .json or .csv file."),
    run_id: str = typer.Option(None, help="Name of this evaluation."),
    workers: int = typer.Option(1, min=1, help="Predictions graded at once."),
    repeats: int = typer.Option(
        1, min=1, help="Grade each prediction this often; verdicts that change are flaky."
    ),
    regrade: bool = typer.Option(False, "--regrade", help="Judge again what has a verdict already."),
    sample: int = typer.Option(
        0, min=0, help="Take N instances of each repository, spread over its versions."
    ),
    seed: int = typer.Option(0, help="Seed of bootstraps."),
    table: bool = typer.Option(
        False, "--table", help="A Markdown table by repository: built, resolved, seconds."
    ),
    timeout: str = typer.Option("30m", help="Wall time of the tests of one instance."),
    sandbox: str = typer.Option("auto", help="auto, namespace or plain (native harness)."),
    cache: Path = typer.Option(None, help="Where environments are kept (default: the user's cache)."),
    compare: bool = typer.Option(
        False, "--compare", help="Paired test of two evaluated runs; nothing is run."
    ),
    pass_k: str = typer.Option("", "--pass-k", help="k of pass@k over several runs, comma-separated."),
    json_: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress on stderr."),
) -> int:
    """Grade predictions against a dataset.

    `gold` and `empty` are built in: an instance is trusted when gold resolves it and empty does not.
    Exit 0: every prediction was judged; 9: the infrastructure failed on some, call it again.
    """
    from .evaluating import EvalRequest, run_compare, run_eval

    if compare:
        return run_compare(runs or [], as_json=json_, output=output)
    request = EvalRequest(
        sources=tuple(runs or ()) + ((predictions,) if predictions else ()),
        dataset=dataset,
        split=split,
        benchmark=benchmark,
        instances=tuple(instances or ()),
        pattern=filter_,
        window=slice_,
        mirrors=repo_mirror,
        harness=harness,
        output=output,
        run_id=run_id,
        workers=workers,
        repeats=repeats,
        timeout=timeout,
        sandbox=sandbox,
        cache=cache,
        pass_k=pass_k,
        as_json=json_,
        quiet=quiet,
        regrade=regrade,
        sample=sample,
        seed=seed,
        table=table,
    )
    return run_eval(request)
