"""What stands behind `swe-agent batch`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ..batch.job import SOLVE, Outcome
from ..batch.local import Executor, LocalExecutor
from ..batch.outputs import Outputs
from ..batch.runner import Ended, Plan, Runner, run_batch
from ..batch.screen import PlainScreen, make_screen
from ..batch.state import BatchState, DiskFullError, write_atomically
from ..benchmarks.dataset import Selection, ids_of, load_benchmark, load_instances
from ..benchmarks.instance import Instance
from ..run_directory import runs_root
from .solving import role_models, seconds, split_list

OK, USAGE, CREDENTIALS, PARTLY = 0, 2, 6, 9
_REDO = ("error", "limit", "empty", "unresolved", "all")
_SAME = ("model", "role_models", "roles", "search", "samples", "seed", "name")
"""Settings that may not change within one directory: the predictions would not be of one kind."""


def run(flags: dict[str, Any]) -> int:
    """Returns the exit code. Raises: UsageError, CredentialsError before anything is done."""
    _check(flags)
    output = (flags["output"] or runs_root() / _default_name(flags)).absolute()
    if flags["benchmark"] and flags["repo_mirror"] is None:
        # the tasks' repositories are made there; nobody prepared an environment for them
        flags |= {"repo_mirror": output / "repositories", "environment": "repository"}
    settings = _settings(flags)
    instances = _instances(flags)
    if flags["dry_run"]:
        for instance in instances:
            print(f"{instance.id}\t{instance.repo}\t{instance.base_commit[:12]}\t{instance.version or ''}")
        return OK
    _preflight(flags, settings)
    state = BatchState(output)
    try:
        _remember(output, flags, settings, instances)
        _put_back(state, instances, flags["redo"])
        return asyncio.run(_run(flags, settings, instances, state))
    except DiskFullError as error:
        print(f"swe-agent: {error}\n{resume_line(output)}", file=sys.stderr)
        return PARTLY
    finally:
        state.close()


async def _run(flags: Mapping[str, Any], settings: dict[str, Any], instances: list[Instance], state: BatchState) -> int:
    plan = Plan(
        settings, settings["name"] or settings["model"], flags["workers"], flags["retries"], seconds(flags["backoff"]) or 5.0,
        flags["budget_usd"], flags["budget_tokens"], flags["budget_steps"], seconds(flags["timeout"]),
        flags["total_budget_usd"], seconds(flags["total_timeout"]), flags.get("entry") or SOLVE,
    )
    outputs = Outputs(state, instances, plan.model)
    done = sum(state.of(instance.id).finished for instance in instances)
    screen = make_screen(len(instances), done, quiet=flags["quiet"])
    screen.line(resume_summary(state, instances))
    executor = _executor(flags, state.directory)
    runner = Runner(plan, instances, state, executor, outputs, screen)
    loop = asyncio.get_running_loop()

    def install(handle: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, handle, number)

    def on_stop(times: int) -> None:
        screen.line("stopping: running instances reach a checkpoint; once more kills them" if times == 1 else "killed")

    started = time.monotonic()
    with screen:
        ended, caught = await run_batch(runner, install, on_stop)
        if ended.why in (None, "partly") and flags["eval_"]:
            _evaluate(flags, instances, state, outputs, screen)
    _report(screen, outputs, ended, state.directory, time.monotonic() - started)
    if flags["json_"]:
        print(json.dumps(json.loads((state.directory / "results.json").read_text("utf-8")), ensure_ascii=False))
    return _exit_code(ended, caught)


def _exit_code(ended: Ended, caught: int | None) -> int:
    if caught is not None:
        return 128 + caught
    if ended.fatal is not None:
        return CREDENTIALS if ended.fatal.reason == "credentials" else USAGE
    return OK if ended.why is None else PARTLY


def _report(screen: PlainScreen, outputs: Outputs, ended: Ended, output: Path, took: float) -> None:
    summary = outputs.results()["summary"]
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(summary["by_reason"].items()))
    cost = "unknown" if summary["cost_usd"] is None else f"${summary['cost_usd']:.4f}"
    screen.line(f"{summary['finished']} of {summary['instances']} have a prediction ({counts}); cost {cost}; {took:.0f} s")
    for name, reasons in summary["by_repository"].items():
        screen.line(f"  {name}: " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())))
    audit = summary["leak_audit"]
    screen.line(f"leak audit: {audit['audited']} trajectories, {audit['flagged']} flagged")
    for name, flags in audit["flags"].items():
        screen.line(f"  {name}: {'; '.join(flags)}")
    screen.line(f"predictions: {output / 'preds.json'}")
    if ended.why is not None:
        if ended.detail:
            screen.line(f"swe-agent: {ended.detail}")
        print(resume_line(output), file=sys.stderr, flush=True)


def resume_line(output: Path) -> str:
    """The command that goes on."""
    try:
        argv = json.loads((output / "batch.json").read_text("utf-8"))["argv"]
    except (OSError, ValueError, KeyError):
        argv = ["swe-agent", "batch", "--output", str(output)]
    return f"resume: {shlex.join(argv)}"


def resume_summary(state: BatchState, instances: Sequence[Instance]) -> str:
    """`resume: 312 done, 9 infrastructure errors re-queued, 4 continue at step k, 175 new`."""
    done, again, new = 0, 0, 0
    going: list[str] = []
    for instance in instances:
        progress = state.of(instance.id)
        if progress.finished:
            done += 1
        elif progress.running or (progress.outcome and progress.outcome.kind == "interrupted"):
            going.append(str(_steps(state.instance_directory(instance.id) / "events.jsonl")))
        elif progress.outcome is not None:
            again += 1
        else:
            new += 1
    if not (done or again or going):
        return f"{new} instances, output {state.directory}"
    steps = f" at step {', '.join(going[:8])}{', ...' if len(going) > 8 else ''}" if going else ""
    return (f"resume: {done} done, {again} infrastructure errors re-queued, {len(going)} continue{steps}, {new} new")


def _steps(events: Path) -> int:
    try:
        with events.open("rb") as file:
            return sum(b'"type":"call"' in line for line in file)
    except OSError:
        return 0


def _check(flags: Mapping[str, Any]) -> None:
    if not flags["dataset"]:
        raise UsageError("name the dataset with --dataset: verified, lite, or a .json, .jsonl or .parquet file")
    for name, choices in (
        ("executor", ("local", "ray")), ("environment", ("auto", "image", "native", "repository")),
        ("pull", ("missing", "never")), ("roles", ("team", "single")), ("search", ("linear", "best-of-n", "tree")),
        ("sandbox", ("auto", "namespace", "docker", "plain")), ("network", ("none", "on")),
    ):
        if flags[name] not in choices:
            raise UsageError(f"--{name} {flags[name]!r}: choose from {', '.join(choices)}")
    for item in split_list(flags["redo"]):
        if item not in _REDO:
            raise UsageError(f"--redo {item!r}: choose from {', '.join(_REDO)}")
    for name in ("budget_usd", "budget_tokens", "budget_steps", "total_budget_usd", "image_budget_gb"):
        if flags[name] is not None and flags[name] <= 0:
            raise UsageError(f"--{name.replace('_', '-')} must be positive, not {flags[name]}")
    if flags["environment"] == "native" and flags["repo_mirror"] is None:
        raise UsageError("--environment native needs --repo-mirror DIR with clones of the repositories")
    if flags["repo_mirror"] is not None and not flags["repo_mirror"].is_dir():
        raise UsageError(f"--repo-mirror {flags['repo_mirror']} is not a directory")


def _settings(flags: Mapping[str, Any]) -> dict[str, Any]:
    search = flags["search"]
    return {
        "model": flags["model"], "name": flags["name"], "role_models": role_models(flags["role_model"]),
        "api_base": flags["api_base"], "fallbacks": list(split_list(flags["fallback_models"])),
        "temperature": flags["temperature"], "max_output_tokens": flags["max_output_tokens"],
        "reasoning_effort": flags["reasoning_effort"], "text_mode": flags["text_mode"], "roles": flags["roles"],
        "search": search, "samples": flags["samples"] or (1 if search == "linear" else 8), "width": flags["width"],
        "proposers": list(split_list(flags["proposers"])) or None, "seed": flags["seed"], "hints": flags["hints"],
        "max_steps": flags["max_steps"], "sandbox": flags["sandbox"], "network": flags["network"] == "on",
        "setup": flags["setup"], "test_cmd": flags["test_cmd"], "environment": flags["environment"], "pull": flags["pull"],
        "repo_mirror": str(flags["repo_mirror"].absolute()) if flags["repo_mirror"] else None,
        "cache": str(flags["cache"].absolute()) if flags["cache"] else None,
    }


def _instances(flags: Mapping[str, Any]) -> list[Instance]:
    select = Selection(ids_of(flags["instances"]), flags["filter_"], flags["slice_"], flags["shuffle"], flags["seed"])
    if flags["benchmark"]:
        found = load_benchmark(flags["benchmark"], flags["dataset"], flags["repo_mirror"], select=select)
    else:
        found = load_instances(flags["dataset"], split=flags["split"], select=select)
    if not found:
        raise UsageError("no instance is left: check --instances, --filter and --slice")
    return found


def _preflight(flags: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Fatal mistakes are found before anything is cloned or spent. An endpoint that does not answer just
    now is not fatal: the instances wait for it."""
    from ...agents.models.calls import ModelOptions
    from ...agents.models.factory import check_model

    options = ModelOptions(api_base=settings["api_base"], fallbacks=tuple(settings["fallbacks"]))
    for model in sorted({settings["model"], *settings["role_models"].values()}):
        check_model(model, options)
    if flags["executor"] == "ray":
        from importlib.util import find_spec

        if find_spec("ray") is None:
            raise UsageError("--executor ray needs the extra: pip install 'swe-agent[ray]'")


def _default_name(flags: Mapping[str, Any]) -> str:
    """The same flags name the same directory, so that the same command resumes."""
    chosen = [str(flags[key]) for key in ("dataset", "split", "benchmark", "instances", "filter_", "slice_", "shuffle", "seed", "model")]
    stem = Path(flags["dataset"]).stem if flags["dataset"] != "-" else "stdin"
    digest = hashlib.sha256("\0".join(chosen).encode()).hexdigest()[:8]
    return f"batch-{''.join(c if c.isalnum() else '-' for c in stem)}-{digest}"


def _remember(output: Path, flags: Mapping[str, Any], settings: dict[str, Any], instances: list[Instance]) -> None:
    """batch.json: what this directory is. Raises: UsageError when it was something else."""
    path = output / "batch.json"
    if path.exists():
        try:
            before = json.loads(path.read_text("utf-8"))["settings"]
        except (ValueError, KeyError) as error:
            raise UsageError(f"{path} is damaged: name another --output") from error
        for key in _SAME:
            if before.get(key) != settings[key]:
                raise UsageError(
                    f"{output} holds a batch with {key.replace('_', '-')} {before.get(key)!r}, not {settings[key]!r}: "
                    "name another --output"
                )
    dataset = flags["dataset"]
    if dataset != "-" and Path(dataset).exists():
        dataset = str(Path(dataset).absolute())
    data = {
        "dataset": dataset, "split": flags["split"], "benchmark": flags["benchmark"], "repo_mirror": settings["repo_mirror"], "settings": settings,
        "instances": [instance.id for instance in instances], "argv": _argv(output),
    }
    write_atomically(path, (json.dumps(data, indent=1) + "\n").encode())


def _argv(output: Path) -> list[str]:
    argv = ["swe-agent", *sys.argv[1:]]
    if not any(word == "--output" or word.startswith("--output=") for word in argv):
        argv += ["--output", str(output)]
    return [word for position, word in enumerate(argv) if not (
        word.startswith("--redo=") or word == "--redo" or (position and argv[position - 1] == "--redo"))]


def _put_back(state: BatchState, instances: list[Instance], redo: str) -> None:
    wanted = set(split_list(redo))
    if not wanted:
        return
    verdicts: Mapping[str, bool] = {}
    if "unresolved" in wanted:
        from ..evaluation.report import read_verdicts

        verdicts = read_verdicts(str(state.directory / "evaluation"))
    for instance in instances:
        outcome = state.of(instance.id).outcome
        if outcome is not None and _again(outcome, wanted, verdicts.get(instance.id), state.patch_of(instance.id)):
            state.put_back(instance.id)


def _again(outcome: Outcome, wanted: set[str], verdict: bool | None, patch: str | None) -> bool:
    return (
        "all" in wanted
        or ("error" in wanted and outcome.kind in ("infrastructure", "fatal"))
        or ("limit" in wanted and outcome.reason == "limit")
        or ("empty" in wanted and outcome.kind == "finished" and not (patch or "").strip())
        or ("unresolved" in wanted and outcome.kind == "finished" and verdict is False)
    )


def _executor(flags: Mapping[str, Any], output: Path) -> Executor:
    workers = flags["workers"]
    if flags["executor"] == "ray":
        from ..batch.ray_executor import RayExecutor

        return RayExecutor(flags["ray_address"], cpus=flags["ray_cpus"], memory_gb=flags["ray_memory_gb"], workers=workers)
    processes = min(workers, flags["processes"] or min(workers, max(16, 2 * (os.cpu_count() or 1))))
    return LocalExecutor(output / "logs", processes=processes, per_process=-(-workers // processes))


def _evaluate(
    flags: Mapping[str, Any], instances: list[Instance], state: BatchState, outputs: Outputs, screen: PlainScreen
) -> None:
    from ..evaluation.command_grader import command_grader
    from ..evaluation.evaluate import evaluate, native_grader
    from ..evaluation.grader import Grade, GraderOptions
    from ..evaluation.official import chosen_harness, official_grader
    from ..evaluation.predictions import load_predictions

    place = state.directory / "evaluation"
    predictions = load_predictions(str(state.directory / "preds.json"), instances) if outputs.predictions() else {}
    if not predictions:
        screen.line("nothing to grade: no instance has a prediction")
        return
    if flags["benchmark"]:
        grader = command_grader(GraderOptions(flags["repo_mirror"], flags["cache"], place / "scratch", flags["sandbox"]))
    elif chosen_harness("auto", flags["repo_mirror"]) == "official":
        grader = official_grader(state.directory.name, timeout_s=1800, work=place)
    else:
        sandbox = "auto" if flags["sandbox"] == "docker" else flags["sandbox"]
        grader = native_grader(GraderOptions(flags["repo_mirror"], flags["cache"], place / "scratch", sandbox))

    def on_grade(grade: Grade) -> None:
        screen.line(f"graded {grade.instance_id}: {grade.status}  {grade.reason}")

    report = evaluate(instances, predictions, grader, place, run_id=state.directory.name,
                      workers=min(flags["workers"], os.cpu_count() or 1), on_grade=on_grade)
    report.write(place)
    data = report.to_json()
    outputs.put_evaluation({key: value for key, value in data.items() if key not in ("seconds",)})
    screen.line(f"resolved {data['resolved_instances']} of {data['total_instances']}; "
                f"{data['unresolved_instances']} unresolved, {data['empty_patch_instances']} empty, "
                f"{data['error_instances']} errors")
