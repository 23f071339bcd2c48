"""The grader for tasks that are judged by a command: its exit code, or the number it leaves in a file."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import SweAgentError
from ...tools.sandbox import Limits, Sandbox, SandboxSpec, open_sandbox
from ..benchmarks.instance import Instance
from ..benchmarks.sealed import grading
from .evaluate import Grader
from .grader import Grade, GraderOptions, apply_patch
from .grading import Verdict
from .mirror import find_mirror
from .predictions import Prediction
from .script import command_of_script
from .tamper import tampered_files


def command_grader(options: GraderOptions) -> Grader:
    """Grades instances of `benchmarks.contract` in fresh sandboxes over their repositories."""

    def judge(instance: Instance, prediction: Prediction, logs: Path) -> Grade:
        if prediction.is_empty and not prediction.probe:
            return Grade(instance.id, "empty", "the patch is empty; nothing was run")
        logs.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        try:
            return _judge(instance, prediction, logs, options, started)
        except (SweAgentError, OSError) as error:
            return Grade(instance.id, "infrastructure", " ".join(str(error).split()))

    return judge


def _judge(
    instance: Instance, prediction: Prediction, logs: Path, options: GraderOptions, started: float
) -> Grade:
    with grading():
        gold = instance.evaluation.open()
    spec = SandboxSpec(
        source=find_mirror(instance.repo, options.mirrors),
        scratch=options.scratch,
        read_only=tuple(Path(path) for path in instance.recipe.get("read_only", ())),
        label=instance.id,
        image=instance.image if options.sandbox in ("auto", "docker") else None,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        limits=Limits(output_bytes=4 << 20),
    )
    report: list[str] = []
    with open_sandbox(options.sandbox, spec) as sandbox:
        if not prediction.is_empty and not apply_patch(sandbox, prediction.patch, report):
            return Grade(instance.id, "patch_failed", "the patch does not apply")
        tampering = tampered_files(sandbox, prediction.patch, "HEAD")
        # what the judge adds wins over files of the same name
        sandbox.exec("rm -rf .judge judge.py .score")
        done = sandbox.exec(
            ["git", "apply", "--binary", "--whitespace=nowarn", "-"],
            stdin=gold.test_patch.encode("utf-8", "surrogateescape"),
        )
        if done.exit_code != 0:
            return Grade(
                instance.id,
                "infrastructure",
                f"the judge's files cannot be placed: {done.output.strip()[-300:]}",
            )
        begin = time.monotonic()
        done = sandbox.exec(command_of_script(gold.eval_script or ""), timeout=options.timeout_s)
        tests_s = round(time.monotonic() - begin, 3)
        score = _score(sandbox, instance.recipe.get("score"))
    (logs / "test_output.txt").write_text("\n".join([*report, done.output]), "utf-8", "replace")
    seconds = {"tests": tests_s, "total": round(time.monotonic() - started, 3)}
    if done.timed_out:
        return Grade(
            instance.id, "timeout", f"the judge ran longer than {options.timeout_s:.0f} s", seconds=seconds
        )
    passed = done.exit_code == 0 and (score.resolved if score else not instance.recipe.get("score"))
    verdict = Verdict(passed, {"command": passed})
    notes = (*instance.recipe.get("notes", ()), *(score.notes if score else ()))
    reason = "the judge's command passed" if passed else f"the judge's command ended with {done.exit_code}"
    return Grade(
        instance.id, "resolved" if passed else "unresolved", reason, verdict, seconds, notes, None, tampering
    )


@dataclass(frozen=True, slots=True)
class _Score:
    """What a judge left in its score file."""

    resolved: bool
    notes: tuple[str, ...]


def _score(sandbox: Sandbox, path: str | None) -> _Score | None:
    """A number, or {"score", "resolved", "notes"}; None when nothing that can be read was left."""
    if not path:
        return None
    try:
        data = json.loads(sandbox.read_bytes(path, max_bytes=1 << 16))
    except (OSError, ValueError):
        return None
    if isinstance(data, dict):
        shown = () if data.get("score") is None else (f"score {data['score']:g}",)
        return _Score(data.get("resolved") is True, (*shown, *(str(note) for note in data.get("notes", ()))))
    if isinstance(data, bool) or not isinstance(data, (int, float)) or not math.isfinite(data):
        return None
    return _Score(True, (f"score {data:g}",))
