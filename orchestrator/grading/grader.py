"""The grader: one prediction in a fresh sandbox over the grader's own environment.

The order is the harness's: apply the model's patch, take the test files back to the base, apply the
test patch, run the tests. Nothing of the sandbox outlives the verdict.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...tools.errors import SandboxError, SweAgentError
from ...tools.sandbox import Sandbox, open_sandbox
from ..benchmarks.instance import Instance
from ..benchmarks.markers import END, EXIT_CODE, START
from ..benchmarks.sealed import Gold, grading
from .adaptations import before_tests, httpbin_for, open_for_tests
from .declared import new_requirements, with_requirements
from .grading import PATCH_FAILED, TESTS_TIMED_OUT, Verdict, grade_log
from .logs import parser_named
from .native import NativeEnvironment, prepare_environment
from .predictions import Prediction
from .script import new_files, plan_tests, source_files, touches_compiled
from .second_look import project_of, second_look
from .tamper import tampered_files, tampered_log

Status = Literal["resolved", "unresolved", "empty", "patch_failed", "timeout", "infrastructure"]

APPLY = (
    "git apply --verbose -",
    "git apply --verbose --3way -",
    "git apply --verbose --reject -",
    "patch --batch --forward --fuzz=5 -p1",
)
"""Tried in this order, with a clean tree between two tries."""
_CLEAN = "git checkout -q -f HEAD -- . ; git reset -q ; git clean -fdq"


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on one prediction. `infrastructure` says nothing about the model."""

    instance_id: str
    status: Status
    reason: str = ""
    verdict: Verdict | None = None
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """environment (what it took now), build (what making it took, now or earlier), tests, total."""
    notes: tuple[str, ...] = ()
    cached: bool | None = None
    tampering: tuple[str, ...] = ()
    """What the prediction changes of its judge or says in its name; the verdict is what the rules make it."""
    taken_over: bool = False
    """An earlier verdict on the same patch, row and environment; nothing was run now."""

    @property
    def resolved(self) -> bool:
        return self.status == "resolved"

    def to_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "instance_id": self.instance_id,
            "status": self.status,
            "resolved": self.resolved,
            "reason": self.reason or None,
            "tests_status": verdict.tests_status if verdict and verdict.rejected is None else None,
            "seconds": dict(self.seconds),
            "environment_cached": self.cached,
            "notes": list(self.notes),
            "tampering": list(self.tampering),
        }


@dataclass(frozen=True, slots=True)
class GraderOptions:
    """How predictions are graded."""

    mirrors: Path | None = None
    cache: Path | None = None
    scratch: Path = Path("/tmp")
    sandbox: str = "auto"
    timeout_s: float = 1800.0
    """Of the test command."""


def grade(instance: Instance, prediction: Prediction, options: GraderOptions, logs: Path) -> Grade:
    """Grade one prediction natively; writes `test_output.txt` and `patch.diff` to `logs`. Never raises
    for what the prediction does; a boundary that fails is the status `infrastructure`."""
    started = time.monotonic()
    if prediction.is_empty and not prediction.probe:
        return Grade(instance.id, "empty", "the patch is empty; nothing was run")
    seconds: dict[str, float] = {}
    logs.mkdir(parents=True, exist_ok=True)
    try:
        (logs / "patch.diff").write_text(prediction.patch, "utf-8", "surrogateescape")
        environment = prepare_environment(instance, options.mirrors, purpose="grader", cache=options.cache)
        if more := new_requirements(environment.repository, prediction.patch, environment.spec.extras):
            environment = with_requirements(environment, more)
        seconds["environment"] = round(time.monotonic() - started, 3)
        seconds["build"] = environment.build_s
        with grading():
            result = _judge(
                instance, instance.evaluation.open(), prediction, environment, options, logs, seconds
            )
    except (SweAgentError, OSError) as error:
        result = Grade(instance.id, "infrastructure", " ".join(str(error).split()))
        return _with(result, seconds, started, None)
    return _with(result, seconds, started, environment)


def _with(
    grade: Grade, seconds: dict[str, float], started: float, environment: NativeEnvironment | None
) -> Grade:
    seconds["total"] = round(time.monotonic() - started, 3)
    return Grade(
        grade.instance_id,
        grade.status,
        grade.reason,
        grade.verdict,
        seconds,
        (*(environment.notes if environment else ()), *grade.notes),
        environment.cached if environment else None,
        grade.tampering,
    )


def _judge(
    instance: Instance,
    gold: Gold,
    prediction: Prediction,
    environment: NativeEnvironment,
    options: GraderOptions,
    logs: Path,
    seconds: dict[str, float],
) -> Grade:
    parser = parser_named(gold.log_parser) or parser_named(environment.spec.parser)
    if parser is None:
        return Grade(instance.id, "infrastructure", f"no log parser named {gold.log_parser!r}")
    plan = plan_tests(instance.repo, environment.spec, gold, environment.python)
    server = httpbin_for(environment, gold.test_patch)
    visible = server.paths if server else ()
    with open_for_tests(
        environment, options.sandbox, options.scratch, label=instance.id, visible=visible
    ) as sandbox:
        report: list[str] = []
        if not prediction.is_empty and not apply_patch(sandbox, prediction.patch, report):
            log = "\n".join([*report, PATCH_FAILED])
            _write(logs, log)
            return Grade(
                instance.id, "patch_failed", "the patch does not apply", grade_log(log, parser, (), ())
            )
        tampering = tampered_files(sandbox, prediction.patch, environment.commit)
        notes = _rebuild(sandbox, prediction.patch, report)
        _place_tests(sandbox, gold.test_patch, environment.commit)
        command = before_tests(sandbox, environment, plan.command)
        if server:
            command = server.wrap(command)
            notes.append("httpbin.org was served on loopback")
        started = time.monotonic()
        done = sandbox.exec(command, timeout=options.timeout_s, env=dict(plan.env))
        seconds["tests"] = round(time.monotonic() - started, 3)
        if done.truncated:
            notes.append("the test output was cut in the middle")
        tampering += tampered_log(done.output, parser, (*gold.fail_to_pass, *gold.pass_to_pass))
        if not done.timed_out and not tampering and "pytest" in plan.command:
            said = grade_log(f"{START}\n{done.output}\n{END}\n", parser, gold.fail_to_pass, gold.pass_to_pass)
            if said.resolved:
                tampering += _looked_at(sandbox, environment, prediction.patch, gold, notes)
    body = f"+ {plan.command}\n+ : '{START}'\n{done.output}\n+ : '{END}'\n{EXIT_CODE}: {done.exit_code}\n"
    log = "\n".join([*report, body])
    if done.timed_out:
        _write(logs, f"{log}\n{TESTS_TIMED_OUT}\n")
        return Grade(
            instance.id, "timeout", f"the tests ran longer than {options.timeout_s:.0f} s", notes=tuple(notes)
        )
    _write(logs, log)
    verdict = grade_log(log, parser, gold.fail_to_pass, gold.pass_to_pass, fail_only=gold.fail_only)
    reason = verdict.rejected or _summary(verdict)
    status: Status = "resolved" if verdict.resolved else "unresolved"
    return Grade(instance.id, status, reason, verdict, notes=tuple(notes), tampering=tampering)


def _looked_at(
    sandbox: Sandbox, environment: NativeEnvironment, patch: str, gold: Gold, notes: list[str]
) -> tuple[str, ...]:
    try:
        return second_look(sandbox, project_of(environment), patch, environment.commit, gold.fail_to_pass)
    except SweAgentError as error:  # it decides nothing: the verdict stands
        notes.append(f"no second look was possible: {error}")
        return ()


def apply_patch(sandbox: Sandbox, patch: str, report: list[str]) -> bool:
    """The harness's chain of ways to apply a patch. What was tried goes to `report`."""
    data = patch.encode("utf-8", "surrogateescape")
    for number, command in enumerate(APPLY):
        if number:
            sandbox.exec(_CLEAN, timeout=120)
        done = sandbox.exec(shlex.split(command), stdin=data, timeout=300)
        report.append(f"+ {command}\n{done.output.strip()}")
        if done.exit_code == 0:
            return True
    sandbox.exec(_CLEAN, timeout=120)
    return False


def _place_tests(sandbox: Sandbox, test_patch: str, commit: str) -> None:
    """Test files as on the base commit, then the test patch. Raises: SandboxError when it does not apply:
    then the row or the checkout is wrong, not the prediction."""
    if not test_patch.strip():
        return
    if fresh := new_files(test_patch):
        sandbox.exec(["rm", "-rf", "--", *fresh])
    if known := source_files(test_patch):
        done = sandbox.exec(["git", "checkout", "-f", commit, "--", *known], timeout=120)
        if done.exit_code != 0:
            raise SandboxError(
                f"the test files cannot be taken back to the base: {done.output.strip()[-300:]}"
            )
    data = test_patch.encode("utf-8", "surrogateescape")
    done = sandbox.exec(["git", "apply", "--whitespace=nowarn", "-v", "-"], stdin=data, timeout=120)
    if done.exit_code != 0:
        raise SandboxError(f"the test patch does not apply to the base commit: {done.output.strip()[-300:]}")


def _rebuild(sandbox: Sandbox, patch: str, report: list[str]) -> list[str]:
    """Compiled sources that the patch touches are built in place."""
    if not touches_compiled(patch):
        return []
    done = sandbox.exec("test -f setup.py && python setup.py -q build_ext --inplace", timeout=1800)
    report.append(f"+ python setup.py build_ext --inplace\n{done.output[-2000:]}")
    return [] if done.exit_code == 0 else ["compiled sources changed and could not be rebuilt"]


def _summary(verdict: Verdict) -> str:
    f2p, p2p = verdict.fail_to_pass, verdict.pass_to_pass
    return f"{sum(f2p.values())} of {len(f2p)} FAIL_TO_PASS and {sum(p2p.values())} of {len(p2p)} PASS_TO_PASS passed"


def _write(logs: Path, text: str) -> None:
    (logs / "test_output.txt").write_text(text, "utf-8", "replace")


__all__ = ["APPLY", "Grade", "GraderOptions", "apply_patch", "grade", "open_sandbox"]
