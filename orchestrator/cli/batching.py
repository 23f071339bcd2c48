"""What stands behind `swe-agent batch`."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..batch.images import keep_within
from ..batch.job import SOLVE, Outcome
from ..batch.local import Executor, LocalExecutor
from ..batch.outputs import Outputs
from ..batch.runner import Ended, Plan, Runner, run_batch
from ..batch.screen import PlainScreen, duration, make_screen
from ..batch.state import BatchState, DiskFullError
from ..benchmarks.instance import Instance
from ..solving.run_directory import runs_root
from .batch_setup import check, default_name, preflight, remember
from .batch_setup import instances as chosen_instances
from .batch_setup import settings as settings_of
from .evaluating import stopped_grading
from .solving import seconds, split_list

OK, USAGE, CREDENTIALS, PARTLY = 0, 2, 6, 9


def run(flags: dict[str, Any]) -> int:
    """Returns the exit code. Raises: UsageError, CredentialsError before anything is done."""
    check(flags)
    output = (flags["output"] or runs_root() / default_name(flags)).absolute()
    if flags["benchmark"] and flags["repo_mirror"] is None:
        # the tasks' repositories are made there; nobody prepared an environment for them
        flags |= {"repo_mirror": output / "repositories", "environment": "repository"}
    settings = settings_of(flags)
    instances = chosen_instances(flags)
    if flags["dry_run"]:
        for instance in instances:
            print(f"{instance.id}\t{instance.repo}\t{instance.base_commit[:12]}\t{instance.version or ''}")
        return OK
    preflight(flags, settings)
    state = BatchState(output)
    try:
        remember(output, flags, settings, instances)
        _put_back(state, instances, flags["redo"])
        return _run(flags, settings, instances, state)
    except DiskFullError as error:
        print(f"swe-agent: {error}\n{resume_line(output)}", file=sys.stderr)
        return PARTLY
    finally:
        state.close()


def _run(
    flags: Mapping[str, Any], settings: dict[str, Any], instances: list[Instance], state: BatchState
) -> int:
    plan = Plan(
        settings,
        settings["name"] or settings["model"],
        flags["workers"],
        flags["retries"],
        seconds(flags["backoff"]) or 5.0,
        flags["budget_usd"],
        flags["budget_tokens"],
        flags["budget_steps"],
        seconds(flags["timeout"]),
        flags["total_budget_usd"],
        seconds(flags["total_timeout"]),
        flags.get("entry") or SOLVE,
    )
    outputs = Outputs(state, instances, plan.model)
    done = sum(state.of(instance.id).finished for instance in instances)
    screen = make_screen(len(instances), done, quiet=flags["quiet"])
    screen.line(resume_summary(state, instances))
    executor = _executor(flags, state.directory)
    budget = flags["image_budget_gb"]
    tidy = partial(keep_within, state.directory, int(budget * 1e9)) if budget is not None else None
    runner = Runner(plan, instances, state, executor, outputs, screen, tidy=tidy)

    def install(handle: Any) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, handle, number)

    def on_stop(times: int) -> None:
        screen.line(
            "stopping: running instances reach a checkpoint; once more kills them" if times == 1 else "killed"
        )

    started, ungraded = time.monotonic(), 0
    with screen:
        ended, caught = asyncio.run(run_batch(runner, install, on_stop))
        # after the loop, which would keep ^C from whoever is grading
        if ended.why in (None, "partly") and flags["eval_"]:
            try:
                ungraded = _evaluate(flags, instances, state, outputs, screen)
            except KeyboardInterrupt:
                screen.__exit__(None, None, None)
                stopped_grading(resume_line(state.directory))
    _report(screen, outputs, ended, state.directory, time.monotonic() - started)
    if flags["json_"]:
        print(
            json.dumps(json.loads((state.directory / "results.json").read_text("utf-8")), ensure_ascii=False)
        )
    return _exit_code(ended, caught) or (PARTLY if ungraded else OK)


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
    screen.line(
        f"{summary['finished']} of {summary['instances']} have a prediction ({counts}); cost {cost}; {duration(took)}"
    )
    for name, reasons in summary["by_repository"].items():
        screen.line(
            f"  {name}: " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        )
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
    return f"resume: {done} done, {again} infrastructure errors re-queued, {len(going)} continue{steps}, {new} new"


def _steps(events: Path) -> int:
    try:
        with events.open("rb") as file:
            return sum(b'"type":"call"' in line for line in file)
    except OSError:
        return 0


def _put_back(state: BatchState, instances: list[Instance], redo: str) -> None:
    wanted = set(split_list(redo))
    if not wanted:
        return
    verdicts: Mapping[str, bool] = {}
    if "unresolved" in wanted:
        from ..grading.report import read_verdicts

        verdicts = read_verdicts(str(state.directory / "evaluation"))
    for instance in instances:
        outcome = state.of(instance.id).outcome
        if outcome is not None and _again(
            outcome, wanted, verdicts.get(instance.id), state.patch_of(instance.id)
        ):
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

        return RayExecutor(
            flags["ray_address"], cpus=flags["ray_cpus"], memory_gb=flags["ray_memory_gb"], workers=workers
        )
    processes = min(workers, flags["processes"] or min(workers, max(16, 2 * (os.cpu_count() or 1))))
    return LocalExecutor(output / "logs", processes=processes, per_process=-(-workers // processes))


def _evaluate(
    flags: Mapping[str, Any],
    instances: list[Instance],
    state: BatchState,
    outputs: Outputs,
    screen: PlainScreen,
) -> int:
    """Grade what has a prediction; returns on how many the infrastructure failed."""
    from ..grading.evaluate import evaluate
    from ..grading.grader import Grade, GraderOptions
    from ..grading.graders import choose_grader
    from ..grading.predictions import load_predictions

    screen.line("grading")
    place = state.directory / "evaluation"
    predictions = (
        load_predictions(str(state.directory / "preds.json"), instances) if outputs.predictions() else {}
    )
    if not predictions:
        screen.line("nothing to grade: no instance has a prediction")
        return 0
    sandbox = flags["sandbox"] if flags["benchmark"] or flags["sandbox"] != "docker" else "auto"
    options = GraderOptions(flags["repo_mirror"], flags["cache"], place / "scratch", sandbox)
    folders = [Path(str(flags["dataset"])).expanduser().absolute().parent / "run_scripts"]
    chosen = choose_grader(
        "auto", instances, options, run_id=state.directory.name, work=place, folders=folders
    )

    def on_grade(grade: Grade) -> None:
        screen.line(f"graded {grade.instance_id}: {grade.status}  {grade.reason}")

    report = evaluate(
        instances,
        predictions,
        chosen.grade,
        place,
        run_id=state.directory.name,
        environment=chosen.environment,
        workers=min(flags["workers"], os.cpu_count() or 1),
        on_grade=on_grade,
    )
    report.write(place)
    data = report.to_json()
    outputs.put_evaluation({key: value for key, value in data.items() if key not in ("seconds",)})
    screen.line(
        f"resolved {data['resolved_instances']} of {data['total_instances']}; "
        f"{data['unresolved_instances']} unresolved, {data['empty_patch_instances']} empty, "
        f"{data['error_instances']} errors"
        + (f", {len(data['incomplete_ids'])} without a prediction" if data["incomplete_ids"] else "")
    )
    return len(report.ids("infrastructure"))
