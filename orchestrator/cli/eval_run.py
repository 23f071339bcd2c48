"""What stands behind `swe-agent eval`: which predictions, which grader, what is printed."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...tools.errors import UsageError
from ..benchmarks.dataset import InstanceFilter, ids_of, load_benchmark, load_instances
from ..benchmarks.instance import Instance
from ..exit_code import ExitCode
from ..grading.evaluate import evaluate
from ..grading.grader import Grade, GraderOptions
from ..grading.predictions import BUILT_IN, Prediction, load_predictions
from ..grading.report import RunReport, read_verdicts, remove_reports
from ..grading.statistics import binomial_error, compare_paired, mean_of, pass_at_k_of, wilson
from ..grading.table import by_repository
from ..solving.run_directory import runs_root
from .stopping import stopped_grading

if TYPE_CHECKING:
    from .eval_ import EvalSettings


@dataclass(slots=True)
class _Printed:
    """Progress on stderr: one line per verdict."""

    total: int
    quiet: bool
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def __call__(self, grade: Grade) -> None:
        self.done += 1
        if not self.quiet:
            took = grade.seconds.get("total")
            spent = f" {took:.1f} s" if took is not None and not grade.taken_over else ""
            spent += " (earlier verdict, not run now)" if grade.taken_over else ""
            flag = f"  (tampering? {grade.tampering[0]})" if grade.tampering else ""
            print(
                f"[{self.done}/{self.total}] {grade.instance_id}: {grade.status}{spent}  {grade.reason}{flag}",
                file=sys.stderr,
            )


def evaluate_all(settings: EvalSettings) -> int:
    """Raises: UsageError, SweAgentError of the boundary that failed."""
    if not settings.sources:
        raise UsageError(
            "name what is to be graded: a run, a predictions file, or --predictions gold|empty|FILE"
        )
    remembered = _remembered(settings.sources)
    dataset = settings.dataset or remembered.get("dataset")
    if not dataset:
        raise UsageError(
            "name the dataset with --dataset: verified, lite, or a .json, .jsonl or .parquet file"
        )
    mirrors = settings.repo_mirror or (
        Path(remembered["repo_mirror"]) if remembered.get("repo_mirror") else None
    )
    select = InstanceFilter(
        ids_of(settings.instances),
        settings.filter,
        settings.slice,
        seed=settings.seed,
        sample=settings.sample,
    )
    benchmark = settings.benchmark or remembered.get("benchmark")
    if benchmark:
        mirrors = mirrors or _output(settings) / "repositories"
        instances = load_benchmark(benchmark, dataset, mirrors, select=select, solving=False)
    else:
        instances = load_instances(dataset, split=settings.split or remembered.get("split"), select=select)
    if not instances:
        raise UsageError("no instance is left: check --instances, --filter and --slice")
    output = _output(settings)
    loaded = [load_predictions(source, instances) for source in settings.sources]
    known = {instance.id for instance in instances}
    strangers = sorted(set().union(*loaded) - known)
    narrowed = select.ids or select.pattern or select.window or select.sample
    if strangers and not settings.quiet and not narrowed:
        shown = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
        print(f"not in the dataset, not graded: {shown}", file=sys.stderr)
    total = sum(len(known & set(predictions)) for predictions in loaded)
    printed = _Printed(total, settings.quiet)
    reports: list[RunReport] = []
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
    for number, predictions in enumerate(loaded):
        place = output if len(loaded) == 1 else output / f"seed-{number}"
        run_id = settings.run_id or _run_id(settings.sources[number])
        try:
            reports.append(_grade(settings, instances, predictions, mirrors, place, run_id, printed, dataset))
        except Terminated:
            stopped_grading("the same command goes on", signal.SIGTERM)
        except KeyboardInterrupt:
            stopped_grading("the same command goes on")
    result = _result(settings, reports, output, dataset)
    if settings.json_:
        print(json.dumps(result, ensure_ascii=False))
    elif settings.table:
        print(by_repository(instances, [report.grades for report in reports]), end="")
    else:
        _print_summary(result)
    return _exit_code(settings.sources, reports)


def _exit_code(sources: Sequence[object], reports: Sequence[RunReport]) -> ExitCode:
    """PARTLY, and why on stderr, where a figure over all instances would not be what it seems."""
    doubts = [
        line for source, report in zip(sources, reports, strict=True) for line in _doubts(source, report)
    ]
    for line in doubts:
        print(f"swe-agent: {line}", file=sys.stderr)
    partly = doubts or any(report.ids("infrastructure") for report in reports)
    return ExitCode.PARTLY if partly else ExitCode.OK


def _doubts(source: object, report: RunReport) -> list[str]:
    """Instances whose own solution does not resolve here: nothing that is graded on them can be trusted."""
    if str(source) != "gold":
        return []
    failed = report.ids("unresolved", "empty", "patch_failed", "timeout")
    if not failed:
        return []
    lines = [f"{len(failed)} gold solutions do not resolve here; leave these instances out of every figure:"]
    return lines + [
        f"  {name}: {report.grades[name].reason or report.grades[name].status}" for name in failed
    ]


class Terminated(BaseException):
    """SIGTERM came."""


def _terminated(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # `timeout` and job managers send it twice
    raise Terminated


def _grade(
    settings: EvalSettings,
    instances: list[Instance],
    predictions: Mapping[str, Prediction],
    mirrors: Path | None,
    place: Path,
    run_id: str,
    on_grade: Callable[[Grade], None],
    dataset: str,
) -> RunReport:
    from ..grading.graders import choose_grader
    from ..grading.official import sb_cli_report

    remove_reports(place, run_id)
    if settings.harness == "sb-cli":
        return sb_cli_report(dataset, settings.split, instances, predictions, place, run_id)
    options = GraderOptions(
        mirrors, settings.cache, place / "scratch", settings.sandbox, timeout_s=settings.timeout
    )
    folders = [Path(dataset).expanduser().absolute().parent / "run_scripts"]
    chosen = choose_grader(settings.harness, instances, options, run_id=run_id, work=place, folders=folders)
    report = evaluate(
        instances,
        predictions,
        chosen.grade,
        place,
        run_id=run_id,
        workers=settings.workers,
        repeats=settings.repeats,
        environment=chosen.environment,
        regrade=settings.regrade,
        on_grade=on_grade,
    )
    report.write(place)
    return report


def run_compare(runs: Sequence[str], *, as_json: bool, output: Path | None = None) -> int:
    """Paired comparison of two evaluated runs; `output` is a .json, or a .csv with one instance per line.
    Raises: UsageError."""
    if len(runs) != 2:
        raise UsageError("--compare takes two evaluated runs: swe-agent eval --compare RUN_A RUN_B")
    a, b = runs
    first, second = read_verdicts(a), read_verdicts(b)
    paired = compare_paired(first, second)
    if not paired.n:
        raise UsageError(
            f"the two runs share no graded instance ({len(first)} in {a}, {len(second)} in {b}): there is nothing to compare"
        )
    result = {"run_a": a, "run_b": b, **paired.to_json()}
    if output is not None:
        _export(output, result, first, second)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return ExitCode.OK
    print(
        f"{paired.n} instances in both: A {result['rate_a']:.1%}, B {result['rate_b']:.1%}; "
        f"both {paired.both}, only A {len(paired.only_a)}, only B {len(paired.only_b)}, neither {paired.neither}; "
        f"difference B - A {paired.difference:+.1%}"
        + (
            f" (95 % {paired.interval[0]:+.1%} to {paired.interval[1]:+.1%}, paired bootstrap)"
            if paired.interval
            else ""
        )
        + f"; p = {paired.p_value:.4g} (exact McNemar, two-sided)"
    )
    return ExitCode.OK


def _export(path: Path, result: Mapping[str, Any], a: Mapping[str, bool], b: Mapping[str, bool]) -> None:
    shared = sorted(set(a) & set(b))
    try:
        if path.suffix == ".csv":
            lines = ["instance_id,a,b", *(f"{name},{int(a[name])},{int(b[name])}" for name in shared)]
            path.write_text("\n".join(lines) + "\n", "utf-8")
        else:
            path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; name another --output") from error


def _remembered(sources: tuple[str, ...]) -> Mapping[str, Any]:
    """What a batch run remembers of its dataset; {} for plain prediction files."""
    for source in sources:
        path = Path(source).expanduser()
        for candidate in (
            path / "batch.json",
            path.parent / "batch.json",
            runs_root() / source / "batch.json",
        ):
            if source not in BUILT_IN and candidate.is_file():
                try:
                    return json.loads(candidate.read_text("utf-8"))
                except ValueError as error:
                    raise UsageError(f"{candidate} is damaged: {error}") from error
    return {}


def _output(settings: EvalSettings) -> Path:
    if settings.output is not None:
        output = settings.output
    elif settings.sources[0] in BUILT_IN:
        output = runs_root().parent / "evaluations" / settings.sources[0]
    else:
        path = Path(settings.sources[0]).expanduser()
        output = (path if path.is_dir() else path.parent) / "evaluation"
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create {output}: {error.strerror}; name another --output") from error
    return output.absolute()


def _run_id(source: str) -> str:
    return source if source in BUILT_IN else Path(source).expanduser().absolute().stem


def _result(settings: EvalSettings, reports: list[RunReport], output: Path, dataset: str) -> dict[str, Any]:
    shown = {"dataset": dataset, "output": str(output)}
    if len(reports) == 1:
        data = reports[0].to_json()
        resolved, rate = data["resolved_instances"], reports[0].resolved_rate
        total = data["total_instances"] - data["infra_failure_instances"] if rate is not None else 0
        return {
            **data,
            **shown,
            "resolved_standard_error": binomial_error(resolved, total),
            "resolved_interval": wilson(resolved, total),
        }
    verdicts = [report.resolved for report in reports]
    judged = [report.resolved_rate for report in reports]
    rates = mean_of([rate for rate in judged if rate is not None] or [math.nan])
    names = sorted(set().union(*verdicts))
    counts = {name: [item[name] for item in verdicts if name in item] for name in names}
    ks = list(settings.pass_k) or list(range(1, len(reports) + 1))
    passes = {str(k): pass_at_k_of(list(counts.values()), k, seed=settings.seed).to_json() for k in ks}
    resolved = [set(report.ids("resolved")) for report in reports]
    return {
        **shown,
        "runs": [report.to_json() for report in reports],
        "resolved_ids": sorted(set.intersection(*resolved)),
        "resolved_by_any_ids": sorted(set.union(*resolved)),
        "disagreeing_ids": sorted(name for name, flags in counts.items() if len(set(flags)) > 1),
        "error_ids": sorted(
            set().union(*(report.ids("patch_failed", "timeout", "infrastructure") for report in reports))
        ),
        "resolved_rate": None if math.isnan(rates.mean) else rates.mean,
        "resolved_standard_error": rates.standard_error,
        "pass_at_k": passes,
    }


def _print_summary(result: Mapping[str, Any]) -> None:
    runs = result.get("runs") or [result]
    for report in runs:
        print(
            f"{report['model_name_or_path']} ({report['run_id']}): {report['resolved_instances']} of "
            f"{report['total_instances']} resolved, {report['unresolved_instances']} unresolved, "
            f"{report['empty_patch_instances']} empty, {report['error_instances']} errors "
            f"({report['infra_failure_instances']} of the infrastructure)"
            + (f", {len(report['incomplete_ids'])} without a prediction" if report["incomplete_ids"] else "")
        )
        if report["flaky_ids"]:
            print(f"  flaky: {', '.join(report['flaky_ids'])}")
        if report["infra_failure_ids"]:
            print("  not judged, graded again by the same command: " + ", ".join(report["infra_failure_ids"]))
        if report["taken_over_ids"]:
            print(
                f"  {len(report['taken_over_ids'])} earlier verdicts taken over; --regrade judges them again"
            )
    rate, error, interval = (
        result.get(name) for name in ("resolved_rate", "resolved_standard_error", "resolved_interval")
    )
    if rate is None:
        print(f"nothing was judged: no rate   {result['output']}")
    else:
        spread = f" (95 % {interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
        spread = spread or (f" ± {error:.1%}" if error is not None else "")
        missing = sum(run["infra_failure_instances"] for run in runs)
        but = f", {missing} not judged" if missing else ""
        print(f"resolved {rate:.1%}{spread}{but}   {result['output']}")
    for k, found in (result.get("pass_at_k") or {}).items():
        if found["estimate"] is None:
            print(f"pass@{k}: too few samples")
            continue
        low_high = found["interval"]
        spread = f" (95 % {low_high[0]:.1%} to {low_high[1]:.1%})" if low_high else ""
        print(f"pass@{k} {found['estimate']:.1%}{spread} over {found['instances']} instances")
