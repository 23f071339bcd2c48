"""SWE-bench Pro: judged in its image at /app, by the instance's own run_script.sh and parser.py.

The order is the benchmark's: the base commit, the patch, the last line of `before_repo_set_cmd` (which
takes the test files out of the fix), the script with the selected tests, the parser over its two outputs.
Resolved means that every FAIL_TO_PASS and PASS_TO_PASS test is among the passed ones.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...tools.errors import SandboxError, SweAgentError, UsageError
from ...tools.sandbox import Limits, Sandbox, SandboxSpec, open_sandbox
from ..benchmarks.instance import Instance
from ..benchmarks.sealed import Gold, ProJudge, grading
from .grader import Grade, GraderOptions, Status, apply_patch
from .grading import Verdict
from .mirror import find_mirror
from .predictions import Prediction

ROOT = PurePosixPath("/app")
_FILES = ("run_script.sh", "parser.py")


@dataclass(frozen=True, slots=True)
class ProScripts:
    """Texts of an instance's run_script.sh and parser.py."""

    run: str
    parser: str


def scripts_of(instance: Instance, judge: ProJudge, folders: Sequence[Path]) -> ProScripts:
    """From the row, else `<instance id>/` below one of `folders`. Raises: UsageError."""
    if judge.run_script and judge.parser:
        return ProScripts(judge.run_script, judge.parser)
    for folder in folders:
        home = folder / instance.id
        if all((home / name).is_file() for name in _FILES):
            run, parser = ((home / name).read_text("utf-8") for name in _FILES)
            return ProScripts(run, parser)
    raise UsageError(
        f"SWE-bench Pro judges {instance.id} by its own run_script.sh and parser.py: put the benchmark's "
        "`run_scripts` folder beside the dataset file"
    )


class ProGrader:
    """Grades SWE-bench Pro instances in their images (or, with `--sandbox namespace`, over a mirror)."""

    def __init__(
        self, options: GraderOptions, instances: Sequence[Instance], folders: Sequence[Path]
    ) -> None:
        """Raises: UsageError when an instance's scripts are not there: before anything runs."""
        self._options = options
        with grading():
            golds = {item.id: item.evaluation.open() for item in instances}
        self._scripts = {
            item.id: scripts_of(item, golds[item.id].pro or ProJudge("", ()), folders) for item in instances
        }

    def __call__(self, instance: Instance, prediction: Prediction, logs: Path) -> Grade:
        """Never raises for what the prediction does."""
        if prediction.is_empty and not prediction.probe:
            return Grade(instance.id, "empty", "the patch is empty; nothing was run")
        logs.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        try:
            with grading():
                return self._judge(instance, instance.evaluation.open(), prediction, logs, started)
        except (SweAgentError, OSError) as error:
            return Grade(instance.id, "infrastructure", " ".join(str(error).split()))

    def _open(self, instance: Instance, logs: Path) -> Sandbox:
        options = self._options
        if options.sandbox in ("auto", "docker"):
            source = logs / "nothing"  # the image brings the tree
            source.mkdir(exist_ok=True)
        else:
            source = find_mirror(instance.repo, options.mirrors)
        spec = SandboxSpec(
            source=source,
            scratch=options.scratch,
            root=ROOT,
            label=instance.id,
            image=instance.image,
            limits=Limits(memory_bytes=8 << 30, output_bytes=8 << 20),
        )
        return open_sandbox("docker" if options.sandbox == "auto" else options.sandbox, spec)

    def _judge(
        self, instance: Instance, gold: Gold, prediction: Prediction, logs: Path, started: float
    ) -> Grade:
        assert gold.pro is not None
        with self._open(instance, logs) as sandbox:
            report: list[str] = []
            _reset(sandbox, instance.base_commit)
            if not prediction.is_empty and not apply_patch(sandbox, prediction.patch, report):
                return Grade(instance.id, "patch_failed", "the patch does not apply")
            _must(sandbox, gold.pro.before.strip().splitlines()[-1], "the tests cannot be placed")
            ran = self._run(sandbox, self._scripts[instance.id], gold.pro.tests)
        (logs / "test_output.txt").write_text("\n".join([*report, ran.output]), "utf-8", "replace")
        seconds = {"tests": ran.seconds, "total": round(time.monotonic() - started, 3)}
        if ran.timed_out:
            why = f"the tests ran longer than {self._options.timeout_s:.0f} s"
            return Grade(instance.id, "timeout", why, seconds=seconds)
        f2p = {name: name in ran.passed for name in gold.fail_to_pass}
        p2p = {name: name in ran.passed for name in gold.pass_to_pass}
        verdict = Verdict(all(f2p.values()) and all(p2p.values()), f2p, p2p, ran.rejected)
        counts = f"{sum(f2p.values())} of {len(f2p)} fail_to_pass and {sum(p2p.values())} of {len(p2p)} pass_to_pass"
        status: Status = "resolved" if verdict.resolved else "unresolved"
        return Grade(instance.id, status, ran.rejected or f"{counts} passed", verdict, seconds)

    def _run(self, sandbox: Sandbox, scripts: ProScripts, tests: Sequence[str]) -> _Ran:
        home = sandbox.temporary / "workspace"
        sandbox.write_bytes(home / "run_script.sh", scripts.run.encode())
        sandbox.write_bytes(home / "parser.py", scripts.parser.encode())
        begin = time.monotonic()
        done = sandbox.exec(
            f"bash {home}/run_script.sh {shlex.quote(','.join(tests))} > {home}/stdout.log 2> {home}/stderr.log",
            timeout=self._options.timeout_s,
        )
        seconds = round(time.monotonic() - begin, 3)
        names = [str(home / name) for name in ("stdout.log", "stderr.log")]
        output = "\n".join(
            sandbox.read_bytes(name, max_bytes=8 << 20).decode("utf-8", "replace") for name in names
        )
        if done.timed_out:
            return _Ran(output, seconds, True)
        python = "$(command -v python || command -v python3)"
        parsed = sandbox.exec(f"{python} {home}/parser.py {' '.join(names)} {home}/output.json")
        if parsed.exit_code in (126, 127):
            raise SandboxError(f"the instance's parser cannot run: {parsed.output.strip()[-200:]}")
        passed = _passed(sandbox, home / "output.json")
        why = None if passed is not None else f"the instance's parser wrote no result: {parsed.output[-200:]}"
        return _Ran(f"{output}\n{parsed.output}", seconds, False, frozenset(passed or ()), why)


@dataclass(frozen=True, slots=True)
class _Ran:
    """What the script and the parser left. A run without a result fails every test, as the benchmark has it."""

    output: str
    seconds: float
    timed_out: bool
    passed: frozenset[str] = frozenset()
    rejected: str | None = None


def _reset(sandbox: Sandbox, commit: str) -> None:
    for command in (f"git reset -q --hard {commit}", f"git checkout -q {commit}"):
        _must(sandbox, command, "the base commit cannot be checked out")


def _must(sandbox: Sandbox, command: str, what: str) -> None:
    done = sandbox.exec(command)
    if done.exit_code != 0:
        raise SandboxError(f"{what}: {done.output.strip()[-300:]}")


def _passed(sandbox: Sandbox, path: PurePosixPath) -> set[str] | None:
    try:
        tests = json.loads(sandbox.read_bytes(path))["tests"]
        return {str(test["name"]) for test in tests if test["status"] == "PASSED"}
    except (OSError, ValueError, KeyError, TypeError):
        return None
