"""The batch runner with real worker processes: faults, resume, budgets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from swe_agent.orchestrator.batch.job import Job, JobOutcome
from swe_agent.orchestrator.batch.local import LocalExecutor
from swe_agent.orchestrator.batch.outputs import Outputs
from swe_agent.orchestrator.batch.runner import BatchPlan, Ended, Runner
from swe_agent.orchestrator.batch.screen import PlainScreen
from swe_agent.orchestrator.batch.settings import InstanceSettings
from swe_agent.orchestrator.batch.state import BatchState
from swe_agent.orchestrator.benchmarks.instance import Instance
from swe_agent.orchestrator.benchmarks.sealed import SealedGold

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def entries_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes find `batch_entries`."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def instances(count: int) -> list[Instance]:
    return [
        Instance(f"acme__calc-{n}", "acme/calc", "0" * 40, "wrong", SealedGold.poisoned(f"acme__calc-{n}"))
        for n in range(count)
    ]


def go(
    directory: Path, count: int, entry: str, *, workers: int = 2, processes: int | None = None, **plan: Any
) -> Ended:
    knobs = plan.pop("knobs", {})
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "knobs.json").write_text(json.dumps(knobs))
    chosen = instances(count)
    state = BatchState(directory)

    async def main() -> Ended:
        each = processes or workers
        executor = LocalExecutor(directory / "logs", processes=each, per_process=-(-workers // each))
        outputs = Outputs(state, chosen, "trivial")
        runner = Runner(
            BatchPlan(
                InstanceSettings(name="trivial"),
                workers,
                entry=f"batch_entries:{entry}",
                backoff_s=0.05,
                **plan,
            ),
            chosen,
            state,
            executor,
            outputs,
            PlainScreen(count, 0, quiet=True),
        )
        return await runner.run()

    try:
        return asyncio.run(main())
    finally:
        state.close()


class Together:
    """An executor whose jobs all end in one and the same turn of the event loop."""

    def __init__(self, count: int) -> None:
        self._barrier = asyncio.Barrier(count)

    async def run(self, job: Job, on_progress: Any) -> JobOutcome:
        await self._barrier.wait()
        return JobOutcome(job.id, "finished", "verified", patch="p")

    async def stop(self, grace_s: float) -> None:
        pass

    def kill(self) -> None:
        pass


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_instances_that_end_at_once_end_the_batch(workers: int, tmp_path: Path) -> None:
    state, chosen = BatchState(tmp_path), instances(workers)
    plan, outputs = BatchPlan(InstanceSettings(name="m"), workers), Outputs(state, chosen, "m")
    runner = Runner(plan, chosen, state, Together(workers), outputs, PlainScreen(workers, 0, quiet=True))

    async def main() -> Ended:
        return await asyncio.wait_for(runner.run(), 20)

    assert asyncio.run(main()).why is None
    state.close()


def test_a_worker_that_starts_while_the_batch_stops_gets_no_job(tmp_path: Path) -> None:
    (tmp_path / "knobs.json").write_text(json.dumps({"seconds": 3600}))
    job = Job({"id": "a"}, str(tmp_path / "instances" / "a"), InstanceSettings(), entry="batch_entries:slow")

    async def main() -> tuple[JobOutcome, list[int]]:
        executor = LocalExecutor(tmp_path / "logs", processes=1)
        running = asyncio.create_task(executor.run(job, lambda name, fields: None))
        await asyncio.sleep(0)
        await executor.stop(0.0)
        outcome = await asyncio.wait_for(running, 20)
        await executor.stop(0.0)
        return outcome, executor.pids

    outcome, pids = asyncio.run(main())
    assert outcome.kind == "interrupted"
    assert pids == []
    assert not (tmp_path / "a/begun").exists()


def predictions(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "preds.json").read_text())


def begun(directory: Path, name: str) -> int:
    return len((directory / "instances" / name / "begun").read_text())


def test_every_instance_is_done_once(tmp_path: Path) -> None:
    ended = go(tmp_path, 9, "trivial", workers=4, processes=2)
    assert ended.why is None
    found = predictions(tmp_path)
    assert sorted(found) == sorted(item.id for item in instances(9))
    assert found["acme__calc-3"]["model_patch"] == "diff --git a/acme__calc-3 b/acme__calc-3\n"
    assert {begun(tmp_path, name) for name in found} == {1}
    lines = [json.loads(line) for line in (tmp_path / "all_preds.jsonl").read_text().splitlines()]
    assert {line["instance_id"]: line for line in lines} == found
    summary = json.loads((tmp_path / "results.json").read_text())["summary"]
    assert summary["by_reason"] == {"verified": 9}
    assert summary["cost_usd"] == pytest.approx(9 * 0.25)


def test_a_second_call_does_nothing_again(tmp_path: Path) -> None:
    go(tmp_path, 3, "trivial")
    before = (tmp_path / "preds.json").read_bytes()
    assert go(tmp_path, 3, "trivial").why is None
    assert (tmp_path / "preds.json").read_bytes() == before
    assert begun(tmp_path, "acme__calc-0") == 1


def test_a_call_on_fewer_instances_keeps_the_predictions_of_the_others(tmp_path: Path) -> None:
    go(tmp_path, 4, "trivial")
    before = (tmp_path / "preds.json").read_bytes()
    go(tmp_path, 2, "trivial")
    assert (tmp_path / "preds.json").read_bytes() == before


def test_infrastructure_failures_are_done_again_and_never_become_predictions(tmp_path: Path) -> None:
    faults = {
        "acme__calc-0": ["model"],
        "acme__calc-1": ["kill"],
        "acme__calc-2": ["raise"],
        "acme__calc-3": ["empty"],
    }
    knobs = {"faults": faults}
    ended = go(tmp_path, 5, "faulty", knobs=knobs, retries=0)
    assert ended.why == "partly"
    assert sorted(predictions(tmp_path)) == ["acme__calc-3", "acme__calc-4"]
    reasons = {
        name: row["reason"]
        for name, row in json.loads((tmp_path / "results.json").read_text())["instances"].items()
    }
    assert reasons == {
        "acme__calc-0": "model",
        "acme__calc-1": "worker_lost",
        "acme__calc-2": "crash",
        "acme__calc-3": "no_patch",
        "acme__calc-4": "verified",
    }
    assert go(tmp_path, 5, "faulty", knobs=knobs, retries=0).why is None
    assert {name: row["model_patch"] == "" for name, row in predictions(tmp_path).items()} == {
        f"acme__calc-{n}": n == 3 for n in range(5)
    }
    # the run without faults gives the same file
    clean = tmp_path / "clean"
    go(clean, 5, "faulty", knobs={"faults": {"acme__calc-3": ["empty"]}})
    assert (clean / "preds.json").read_bytes() == (tmp_path / "preds.json").read_bytes()


def test_retries_within_a_call(tmp_path: Path) -> None:
    knobs = {"faults": {"acme__calc-0": ["model", "kill"]}}
    assert go(tmp_path, 2, "faulty", knobs=knobs, retries=2).why is None
    assert begun(tmp_path, "acme__calc-0") == 3


def test_a_killed_worker_harms_its_own_jobs_alone(tmp_path: Path) -> None:
    knobs = {"faults": {"acme__calc-0": ["kill"]}, "seconds": 0.3}
    go(tmp_path, 4, "faulty", workers=4, knobs=knobs, retries=0)
    assert {name: begun(tmp_path, name) for name in (f"acme__calc-{n}" for n in range(4))} == {
        f"acme__calc-{n}": 1 for n in range(4)
    }
    assert sorted(predictions(tmp_path)) == ["acme__calc-1", "acme__calc-2", "acme__calc-3"]


def test_a_refused_key_stops_the_batch(tmp_path: Path) -> None:
    knobs = {"faults": {"acme__calc-0": ["credentials"]}}
    ended = go(tmp_path, 50, "faulty", workers=1, knobs=knobs)
    assert ended.why == "fatal"
    assert ended.fatal is not None
    assert ended.fatal.reason == "credentials"
    assert predictions(tmp_path) == {}


def test_a_full_disk_in_a_worker_stops_the_batch_and_is_no_prediction(tmp_path: Path) -> None:
    knobs = {"faults": {"acme__calc-1": ["disk"]}}
    ended = go(tmp_path, 6, "faulty", workers=1, knobs=knobs)
    assert ended.why == "disk_full"
    assert sorted(predictions(tmp_path)) == ["acme__calc-0"]
    assert go(tmp_path, 6, "faulty", workers=1, knobs=knobs).why is None
    assert len(predictions(tmp_path)) == 6


def test_the_budget_of_the_batch_stops_it(tmp_path: Path) -> None:
    ended = go(tmp_path, 20, "trivial", workers=1, total_usd=1.0)
    assert ended.why == "budget"
    assert len(predictions(tmp_path)) == 4
    assert go(tmp_path, 20, "trivial", workers=1, total_usd=5.0).why is None


@pytest.mark.parametrize("damage", [None, b"", b"another patch"])
def test_a_prediction_that_is_gone_or_damaged_is_made_again(damage: bytes | None, tmp_path: Path) -> None:
    go(tmp_path, 2, "trivial")
    before = predictions(tmp_path)
    patch = tmp_path / "instances/acme__calc-0/prediction.diff"
    patch.unlink() if damage is None else patch.write_bytes(damage)
    assert go(tmp_path, 2, "trivial").why is None
    assert predictions(tmp_path) == before
    assert [begun(tmp_path, f"acme__calc-{n}") for n in range(2)] == [2, 1]
