"""run: a batch that was asked for, to its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from ...tools.errors import UsageError
from ...tools.extras import install_command
from ..batch.identity import default_name, remember, resume_line
from ..batch.images import keep_within
from ..batch.local import Executor, LocalExecutor
from ..batch.outputs import Outputs
from ..batch.resuming import put_back, resume_summary
from ..batch.runner import BatchPlan, Ended, Runner, run_batch
from ..batch.screen import PlainScreen, make_screen
from ..batch.settings import BatchSettings, InstanceSettings
from ..batch.state import BatchState, DiskFullError
from ..benchmarks.instance import Instance
from ..exit_code import ExitCode
from ..report.duration import duration
from ..report.screen import command_name
from .stopping import stopped_grading

__all__ = ["default_name", "run"]


def run(settings: BatchSettings, instances: list[Instance], output: Path) -> int:
    """Returns the exit code. Raises: UsageError when the directory holds another batch."""
    each = settings.of_instance()
    state = BatchState(output)
    try:
        remember(output, settings, each, instances)
        verdicts: Mapping[str, bool] = {}
        if "unresolved" in settings.redo:
            from ..grading.report import read_verdicts

            verdicts = read_verdicts(str(output / "evaluation"))
        if settings.redo:
            put_back(state, instances, settings.redo, verdicts)
        return _run(settings, each, instances, state)
    except DiskFullError as error:
        print(f"swe-agent: {error}\n{resume_line(output)}", file=sys.stderr)
        return ExitCode.PARTLY
    finally:
        state.close()


def preflight(settings: BatchSettings) -> None:
    """Fatal mistakes are found before anything is cloned or spent. An endpoint that does not answer just
    now is not fatal: the instances wait for it. Raises: CredentialsError, UsageError."""
    from ...agents.models.factory import check_model

    for model in sorted(settings.models()):
        check_model(model, settings.options)
    if settings.verifier is not None:
        from ..verifiers.opening import check_verifier

        check_verifier(settings.verifier)
    if settings.executor == "ray":
        from importlib.util import find_spec

        if find_spec("ray") is None:
            raise UsageError(f"--executor ray needs the extra: {install_command('ray')}")


def _run(
    settings: BatchSettings, each: InstanceSettings, instances: list[Instance], state: BatchState
) -> int:
    plan = BatchPlan(
        each,
        settings.workers,
        settings.retries,
        settings.backoff,
        settings.total_budget_usd,
        settings.total_timeout,
    )
    outputs = Outputs(state, instances, each.model_name)
    done = sum(state.of(instance.id).finished for instance in instances)
    screen = make_screen(len(instances), done, quiet=settings.quiet)
    screen.line(resume_summary(state, instances))
    executor = _executor(settings, state.directory)
    budget = settings.image_budget_gb
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
        if ended.why in (None, "partly") and settings.eval_:
            try:
                ungraded = _evaluate(settings, instances, state, outputs, screen)
            except KeyboardInterrupt:
                screen.__exit__(None, None, None)
                stopped_grading(resume_line(state.directory))
    _report(screen, outputs, ended, state.directory, time.monotonic() - started)
    if settings.json_:
        print(
            json.dumps(json.loads((state.directory / "results.json").read_text("utf-8")), ensure_ascii=False)
        )
    return _exit_code(ended, caught) or (ExitCode.PARTLY if ungraded else ExitCode.OK)


def _exit_code(ended: Ended, caught: int | None) -> int:
    if caught is not None:
        return 128 + caught
    if ended.fatal is not None:
        return ExitCode.MODEL if ended.fatal.reason == "credentials" else ExitCode.USAGE
    return ExitCode.OK if ended.why is None else ExitCode.PARTLY


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
    if ended.why is None:
        screen.line(f"next: {command_name()} view {quote(str(output))}")
    else:
        if ended.detail:
            screen.line(f"swe-agent: {ended.detail}")
        print(resume_line(output), file=sys.stderr, flush=True)


def _executor(settings: BatchSettings, output: Path) -> Executor:
    workers = settings.workers
    if settings.executor == "ray":
        from ..batch.ray_executor import RayExecutor

        return RayExecutor(
            settings.ray_address, cpus=settings.ray_cpus, memory_gb=settings.ray_memory_gb, workers=workers
        )
    processes = min(workers, settings.processes or min(workers, max(16, 2 * (os.cpu_count() or 1))))
    return LocalExecutor(output / "logs", processes=processes, per_process=-(-workers // processes))


def _evaluate(
    settings: BatchSettings,
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
    sandbox = settings.sandbox if settings.benchmark or settings.sandbox != "docker" else "auto"
    options = GraderOptions(settings.repo_mirror, settings.cache, place / "scratch", sandbox)
    folders = [Path(str(settings.dataset)).expanduser().absolute().parent / "run_scripts"]
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
        workers=min(settings.workers, os.cpu_count() or 1),
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
