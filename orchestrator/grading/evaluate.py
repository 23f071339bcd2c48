"""evaluate: grade many predictions, in parallel, resumably."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...tools.errors import UsageError
from ..benchmarks.instance import Instance
from ..benchmarks.sealed import grading
from .grader import Grade
from .predictions import Prediction
from .report import RunReport

Grader = Callable[[Instance, Prediction, Path], Grade]
"""Grades one prediction and writes its logs to a directory."""


EnvironmentOf = Callable[[Instance], str]
"""Names what a verdict's environment is made of; another name, another verdict."""


def evaluate(
    instances: Sequence[Instance],
    predictions: Mapping[str, Prediction],
    grader: Grader,
    output: Path,
    *,
    run_id: str,
    workers: int = 1,
    repeats: int = 1,
    environment: EnvironmentOf = lambda instance: "",
    regrade: bool = False,
    on_grade: Callable[[Grade], None] = lambda grade: None,
) -> RunReport:
    """Grade the predictions of `instances`. Each verdict is kept in `output/instances/<id>/report.json`
    beside the hashes of the patch, the row and the environment it is about: a call with the same ones takes
    it over (`Grade.taken_over`); anything else, an infrastructure failure or `regrade` grades again.
    Raises: UsageError when no prediction is about these instances."""
    todo = [instance for instance in instances if instance.id in predictions]
    if not todo:
        raise UsageError("no prediction is about an instance of the dataset: check --dataset and --instances")
    grades: dict[str, Grade] = {}
    flaky: set[str] = set()

    def work(instance: Instance) -> list[Grade]:
        prediction = predictions[instance.id]
        directory = output / "instances" / instance.id
        subject = _subject(instance, prediction, environment(instance))
        known = None if regrade or repeats > 1 else _known(directory, subject)
        if known is not None:
            return [known]
        done = [
            grader(instance, prediction, directory if n == 0 else directory / f"repeat-{n}")
            for n in range(repeats)
        ]
        _keep(directory, subject, prediction.model, done[0])
        return done

    pool = ThreadPoolExecutor(max_workers=max(1, workers))
    running: set[Future[list[Grade]]] = set()
    queue = iter(todo)
    try:
        while True:
            while len(running) < max(1, workers) and (item := next(queue, None)) is not None:
                running.add(pool.submit(work, item))
            if not running:
                break
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                results = future.result()
                first = results[0]
                if _differ(results):
                    flaky.add(first.instance_id)
                    first = replace(first, notes=(*first.notes, "flaky: repeats of this prediction disagree"))
                grades[first.instance_id] = first
                on_grade(first)
    finally:
        # nothing runs after a whole pass; an interrupt does not wait for a test run of half an hour
        pool.shutdown(wait=False, cancel_futures=True)
    models = [predictions[instance.id].model for instance in todo]
    model = models[0] if len(set(models)) == 1 else "mixed"
    known_ids = tuple(instance.id for instance in instances)
    return RunReport(run_id, model, known_ids, dict(predictions), grades, frozenset(flaky))


def _differ(results: Sequence[Grade]) -> bool:
    seen = {
        (item.status, json.dumps(item.verdict.tests_status, sort_keys=True) if item.verdict else "")
        for item in results
        if item.status != "infrastructure"
    }
    return len(seen) > 1


def _subject(instance: Instance, prediction: Prediction, environment: str) -> dict[str, str]:
    """What a verdict is about: hashes of the patch, of the row and of the environment that it is judged by."""
    with grading():
        gold = asdict(instance.evaluation.open())
    row = {
        **gold,
        "base_commit": instance.base_commit,
        "version": instance.version,
        "image": instance.image,
        "recipe": dict(instance.recipe),
    }
    patch = prediction.patch.encode("utf-8", "surrogateescape")
    return {
        "patch_sha256": prediction.agent if prediction.probe else hashlib.sha256(patch).hexdigest(),
        "row_sha256": hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest(),
        "environment_sha256": hashlib.sha256(environment.encode()).hexdigest(),
    }


def _keep(directory: Path, subject: Mapping[str, str], model: str, result: Grade) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    data = {**subject, "model_name_or_path": model, **result.to_json()}
    draft = directory / "report.json.new"
    draft.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    draft.replace(directory / "report.json")


def _known(directory: Path, subject: Mapping[str, str]) -> Grade | None:
    """An earlier verdict on the same patch by the same row."""
    try:
        data: dict[str, Any] = json.loads((directory / "report.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if {name: data.get(name) for name in subject} != subject or data.get("status") == "infrastructure":
        return None
    return Grade(
        data["instance_id"],
        data["status"],
        data.get("reason") or "",
        None,
        data.get("seconds", {}),
        tuple(data.get("notes", ())),
        data.get("environment_cached"),
        taken_over=True,
        tampering=tuple(data.get("tampering") or ()),
    )
