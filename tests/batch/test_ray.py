"""The Ray executor on a local cluster: every instance once, although a worker is killed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from swe_agent.orchestrator.batch.outputs import Outputs
from swe_agent.orchestrator.batch.runner import BatchPlan, Runner
from swe_agent.orchestrator.batch.screen import PlainScreen
from swe_agent.orchestrator.batch.settings import InstanceSettings
from swe_agent.orchestrator.batch.state import BatchState
from swe_agent.orchestrator.benchmarks.instance import Instance
from swe_agent.orchestrator.benchmarks.sealed import SealedGold

pytest.importorskip("ray", reason="the extra `ray` is not installed")
COUNT = 200


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_hundred_instances_with_a_killed_worker_are_all_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from swe_agent.orchestrator.batch.ray_executor import RayExecutor

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    chosen = [Instance(f"i{n}", "a/b", "0" * 40, "x", SealedGold.poisoned(f"i{n}")) for n in range(COUNT)]
    state = BatchState(tmp_path)
    knobs = {"victim": "i90", "marker": str(tmp_path / "killed")}
    (tmp_path / "knobs.json").write_text(json.dumps(knobs))
    watched = PlainScreen(COUNT, 0, quiet=True)

    async def main() -> str | None:
        executor = RayExecutor(None, cpus=1.0, workers=2)
        plan = BatchPlan(InstanceSettings(name="m"), workers=8, entry="batch_entries:kill_once")
        runner = Runner(plan, chosen, state, executor, Outputs(state, chosen, "m"), watched)
        return (await runner.run()).why

    assert asyncio.run(main()) is None
    state.close()
    assert (tmp_path / "killed").exists()
    assert len(json.loads((tmp_path / "preds.json").read_text())) == COUNT
    done = {path.parent.name: path.read_text() for path in tmp_path.glob("instances/*/done")}
    assert done == {f"i{n}": "x" for n in range(COUNT)}
    begun = {path.parent.name: len(path.read_text()) for path in tmp_path.glob("instances/*/begun")}
    assert begun.pop("i90") == 2
    assert set(begun.values()) == {1}
