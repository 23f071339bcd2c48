"""Graders: which judges an instance, and what is refused by name before anything runs."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ...tools.errors import ProjectError, UsageError
from ...tools.project.installer import find_uv
from ..benchmarks.instance import Instance
from ..benchmarks.sealed import grading
from .command_grader import command_grader
from .evaluate import EnvironmentOf, Grader
from .grader import GraderOptions, grade
from .logs import parser_named
from .official import chosen_harness, official_environment, official_grader
from .spec import spec_for

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Chosen:
    """A grader and the name of the environment that its verdicts are about."""

    kind: str
    grade: Grader
    environment: EnvironmentOf


def choose_grader(
    harness: str,
    instances: Sequence[Instance],
    options: GraderOptions,
    *,
    run_id: str,
    work: Path,
    folders: Sequence[Path] = (),
) -> Chosen:
    """The grader for `instances`. `folders` are where a benchmark's own scripts may lie. Raises: UsageError
    when an instance is one that the grader would judge wrongly or not at all."""
    judges = {instance.judge for instance in instances}
    if len(judges) > 1:
        raise UsageError(
            f"the instances are judged in several ways ({', '.join(sorted(judges))}): evaluate each kind alone"
        )
    judge = judges.pop()
    if judge == "smith":
        raise UsageError(
            "SWE-smith rows have no base commit (their repository is in their image alone) and are not graded "
            "here: use swesmith.harness.eval"
        )
    if judge == "pro":
        from .pro import ProGrader

        _refuse(
            "SWE-bench Pro", instances, lambda item: None if item.image else "the row names no dockerhub_tag"
        )
        return Chosen(
            "pro", ProGrader(options, instances, folders), lambda item: f"pro {options.sandbox} {item.image}"
        )
    if judge == "harbor":
        from .harbor.grader import HarborGrader

        harbor = HarborGrader(options, instances)
        return Chosen("harbor", harbor, harbor.environment)
    if judge == "command":
        return Chosen(
            "command",
            command_grader(options),
            lambda item: f"command {options.sandbox} {item.image} {platform.python_version()}",
        )
    kind = chosen_harness(harness, options.mirrors)
    if kind == "official":
        return Chosen(
            kind, official_grader(run_id, timeout_s=options.timeout_s, work=work), official_environment
        )
    if find_uv() is None:
        raise UsageError(
            "native environments are dated with uv, so that nothing later than the issue comes in, and uv is "
            "not here: pip install uv, or use --harness official"
        )
    _refuse("the native harness", instances, native_refusal)
    return Chosen(kind, lambda item, answer, logs: grade(item, answer, options, logs), native_environment)


def native_refusal(instance: Instance) -> str | None:
    """Why an instance cannot be judged without its image; None when it can."""
    if instance.language not in ("python", "py"):
        return f"its language is {instance.language}: native environments are Python's"
    try:
        spec = spec_for(instance)
    except ProjectError as error:
        return str(error).removeprefix(f"{instance.id}: ")
    with grading():
        named = instance.evaluation.open().log_parser
    if named and parser_named(named) is None:
        return f"its log parser {named!r} is not known natively"
    if parser_named(named) is None and parser_named(spec.parser) is None:
        return f"its log parser {spec.parser!r} is not known natively"
    return None


def native_environment(instance: Instance) -> str:
    """What shapes a native environment, as far as it is known before it is built."""
    from .interpreter import find_interpreter

    spec = spec_for(instance)
    interpreter = find_interpreter(spec.python)
    parts = {
        "spec": {**asdict(spec), "env": dict(spec.env)},
        "python": [str(interpreter.path), *interpreter.release],
        "uv": find_uv() is not None,
        "machine": platform.machine(),
    }
    return "native " + json.dumps(parts, sort_keys=True, default=str)


def _refuse(what: str, instances: Sequence[Instance], reason: Callable[[Instance], str | None]) -> None:
    refused = {item.id: why for item in instances if (why := reason(item))}
    if not refused:
        return
    shown = "; ".join(f"{name}: {why}" for name, why in list(refused.items())[:_SHOWN])
    more = f" and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
    raise UsageError(
        f"{what} does not judge {len(refused)} of {len(instances)} instances ({shown}{more}): "
        "leave them out with --instances or --filter, or use --harness official"
    )
