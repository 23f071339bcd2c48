"""The official harness (extra `swebench`) over local container images, and sb-cli as a pass-through.

The harness runs as a program of its own, in a directory of its own: its modules are slow to import, it
writes below the current directory, and it skips an instance whose report exists even for another
patch. So each patch gets a run id of its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ...tools.errors import SandboxError, UsageError
from ...tools.extras import install_command
from ..benchmarks.instance import Instance
from ..benchmarks.sealed import grading
from .grader import Grade
from .grading import Verdict
from .predictions import Prediction
from .report import RunReport

_KINDS = ("auto", "native", "official", "sb-cli")


def chosen_harness(kind: str, mirrors: Path | None) -> str:
    """`auto` is native when a mirror is given, else official when the extra and an engine are there, else
    native. Raises: UsageError for an unknown kind or a missing extra."""
    if kind not in _KINDS:
        raise UsageError(f"--harness {kind!r}: use {', '.join(_KINDS)}")
    installed = importlib.util.find_spec("swebench") is not None
    if kind == "official" and not installed:
        raise UsageError(f"--harness official needs the extra: {install_command('swebench')}")
    if kind != "auto":
        return kind
    return "official" if mirrors is None and installed and docker_error() is None else "native"


def docker_error() -> str | None:
    """Why no container engine answers; None when one does."""
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        return "the docker package is not installed"
    try:
        client = docker.from_env(timeout=10)
        try:
            client.ping()
        finally:
            client.close()
    except (DockerException, OSError) as error:
        return " ".join(str(error).split())[:200]
    return None


def official_environment(instance: Instance) -> str:
    """Names the harness and the image; two images of one name are told apart by their ids where they are here."""
    image = ""
    try:
        import docker

        client = docker.from_env(timeout=10)
        try:
            image = str(client.images.get(instance.image or "").id)
        finally:
            client.close()
    except Exception:  # no engine, no image yet: the name alone
        pass
    return f"official {metadata.version('swebench')} {instance.image} {image}"


def official_row(instance: Instance, *, generation: int) -> dict[str, Any]:
    """The row as the installed harness wants it: 5.x rows carry image, script and parser."""
    with grading():
        gold = instance.evaluation.open()
    row: dict[str, Any] = {
        "repo": instance.repo,
        "instance_id": instance.id,
        "base_commit": instance.base_commit,
        "patch": gold.patch,
        "test_patch": gold.test_patch,
        "problem_statement": instance.problem_statement,
        "hints_text": instance.hints,
        "created_at": instance.created_at or "",
        "version": instance.version or "",
        "environment_setup_commit": instance.environment_commit or instance.base_commit,
    }
    tests: dict[str, Any] = {"FAIL_TO_PASS": list(gold.fail_to_pass), "PASS_TO_PASS": list(gold.pass_to_pass)}
    if generation < 5:
        return row | {name: json.dumps(value) for name, value in tests.items()}
    script, parser = gold.eval_script, gold.log_parser
    if not script:
        script, parser = eval_script_of(instance), parser or _official_parser(instance)
    return (
        row
        | tests
        | {
            "image": instance.image,
            "eval_script": script,
            "log_parser": parser,
            "eval_type": "fail_only" if gold.fail_only else "pass_and_fail",
        }
    )


def eval_script_of(instance: Instance) -> str:
    """A 5.x evaluation script for a 4.x row, from our specifications. Works in images that have the conda
    environment `testbed` and in images that have none."""
    import shlex

    from .grading import END, START
    from .script import new_files, plan_tests, source_files
    from .spec import spec_for

    with grading():
        gold = instance.evaluation.open()
    spec = spec_for(instance)
    known = " ".join(shlex.quote(name) for name in source_files(gold.test_patch))
    fresh = " ".join(shlex.quote(name) for name in new_files(gold.test_patch))
    reset = f"git checkout {instance.base_commit} {known}" if known else ":"
    exports = [f"export {name}={shlex.quote(value)}" for name, value in spec.env.items()]
    lines = [
        "#!/bin/bash",
        "set -uxo pipefail",
        "if [ -f /opt/miniconda3/bin/activate ]; then source /opt/miniconda3/bin/activate; conda activate testbed; fi",
        "cd /testbed",
        "git config --global --add safe.directory /testbed",
        *exports,
        reset,
        *([f"rm -f {fresh}"] if fresh else []),
        f"git apply -v - <<'EOF_114329324912'\n{gold.test_patch.rstrip()}\nEOF_114329324912",
        f": '{START}'",
        plan_tests(instance.repo, spec, gold, spec.python).command,
        f": '{END}'",
        reset,
    ]
    return "\n".join(lines) + "\n"


def _official_parser(instance: Instance) -> str:
    from .spec import spec_for

    name = spec_for(instance).parser
    return "parse_log_" + {"pytest-columns": "pytest_v2", "pytest-options": "pytest_options"}.get(name, name)


def official_grader(run_id: str, *, timeout_s: float, work: Path):
    """A grader that lets the official harness judge one prediction in its container."""
    generation = int(metadata.version("swebench").split(".")[0])
    base = work / "official"
    base.mkdir(parents=True, exist_ok=True)

    def judge(instance: Instance, prediction: Prediction, logs: Path) -> Grade:
        if prediction.is_empty and not prediction.probe:
            return Grade(instance.id, "empty", "the patch is empty; nothing was run")
        problem = docker_error()
        if problem:
            return Grade(instance.id, "infrastructure", f"no container engine: {problem}")
        name = f"{run_id}-{hashlib.sha256(prediction.patch.encode('utf-8', 'replace')).hexdigest()[:12]}"
        home = base / instance.id
        home.mkdir(parents=True, exist_ok=True)
        dataset, answers = home / "dataset.json", home / "predictions.json"
        dataset.write_text(json.dumps([official_row(instance, generation=generation)]))
        answers.write_text(json.dumps([prediction.to_json()]))
        command = [
            sys.executable,
            "-m",
            "swebench.harness.run_evaluation",
            "--dataset_name",
            str(dataset),
            "--predictions_path",
            str(answers),
            "--run_id",
            name,
            "--max_workers",
            "1",
            "--timeout",
            str(int(timeout_s)),
        ]
        if generation < 5:
            command += ["--cache_level", "instance"]
        try:
            done = subprocess.run(
                command,
                cwd=home,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s + 900,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except subprocess.TimeoutExpired:
            return Grade(instance.id, "infrastructure", "the harness did not come back")
        return _read(home, name, prediction, instance.id, logs, done.stdout + done.stderr)

    return judge


def _read(home: Path, name: str, prediction: Prediction, instance_id: str, logs: Path, output: str) -> Grade:
    """What the harness left: the report of the instance, else its log says why there is none."""
    place = home / "logs/run_evaluation" / name / prediction.model.replace("/", "__") / instance_id
    logs.mkdir(parents=True, exist_ok=True)
    for file in ("test_output.txt", "run_instance.log", "eval.sh", "patch.diff"):
        if (place / file).is_file():
            shutil.copyfile(place / file, logs / file)
    (logs / "harness.log").write_text(output)
    try:
        report = json.loads((place / "report.json").read_text("utf-8"))[instance_id]
    except (OSError, ValueError, KeyError):
        log = (
            (place / "run_instance.log").read_text("utf-8", "replace")
            if (place / "run_instance.log").is_file()
            else ""
        )
        if "Patch Apply Failed" in log:
            return Grade(instance_id, "patch_failed", "the patch does not apply")
        if "timed out after" in log.lower():
            return Grade(instance_id, "timeout", "the tests ran out of time")
        lines = [line for line in (log or output).strip().splitlines() if line.strip()]
        return Grade(
            instance_id, "infrastructure", (lines[-1] if lines else "the harness wrote no report")[:300]
        )
    tests = report.get("tests_status") or {}
    if report.get("infra_failure"):
        return Grade(instance_id, "infrastructure", str(report.get("infra_failure_reason")))
    parts = {
        key: {
            **dict.fromkeys(value.get("success", ()), True),
            **dict.fromkeys(value.get("failure", ()), False),
        }
        for key, value in tests.items()
    }
    verdict = Verdict(
        bool(report["resolved"]),
        parts.get("FAIL_TO_PASS", {}),
        parts.get("PASS_TO_PASS", {}),
        None if tests else "the harness read no test from the log",
    )
    return Grade(
        instance_id, "resolved" if verdict.resolved else "unresolved", verdict.rejected or "", verdict
    )


def sb_cli_report(
    dataset: str,
    split: str | None,
    instances: Sequence[Instance],
    predictions: Mapping[str, Prediction],
    place: Path,
    run_id: str,
) -> RunReport:
    """Submit to the hosted evaluation with sb-cli and wait. It needs the network and SWEBENCH_API_KEY.
    Raises: UsageError when sb-cli is missing; SandboxError when it fails."""
    program = shutil.which("sb-cli")
    if program is None:
        raise UsageError("--harness sb-cli needs sb-cli: pip install sb-cli, and set SWEBENCH_API_KEY")
    names = {"verified": "swe-bench_verified", "lite": "swe-bench_lite", "multimodal": "swe-bench-m"}
    subset = names.get(dataset.lower())
    if subset is None:
        raise UsageError(f"sb-cli evaluates {', '.join(names)}; not {dataset!r}")
    answers = place / "preds.json"
    wanted = {instance.id for instance in instances}
    answers.write_text(json.dumps([item.to_json() for name, item in predictions.items() if name in wanted]))
    command = [
        program,
        "submit",
        subset,
        split or "test",
        "--predictions_path",
        str(answers),
        "--run_id",
        run_id,
        "--output_dir",
        str(place),
        "--wait_for_evaluation",
        "1",
        "--gen_report",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise SandboxError(f"sb-cli failed: {(done.stderr or done.stdout).strip()[-400:]}")
    reports = sorted(place.glob(f"*{run_id}*.json"), key=lambda path: path.stat().st_mtime)
    if not reports:
        raise SandboxError(f"sb-cli wrote no report to {place}")
    data = json.loads(reports[-1].read_text("utf-8"))
    grades: dict[str, Grade] = {}
    for key, status in (
        ("resolved_ids", "resolved"),
        ("unresolved_ids", "unresolved"),
        ("empty_patch_ids", "empty"),
        ("error_ids", "infrastructure"),
    ):
        for name in data.get(key, ()):
            grades[name] = Grade(name, status)  # type: ignore[arg-type]
    model = next(iter(predictions.values())).model
    return RunReport(run_id, model, tuple(item.id for item in instances), dict(predictions), grades)
