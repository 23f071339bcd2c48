"""A batch that is interrupted or killed, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from batch.test_runner import HERE, predictions

from swe_agent.orchestrator.batch.runner import GRACE_S
from swe_agent.orchestrator.batch.state import BatchState


def _driver(tmp_path: Path, slow: range) -> str:
    return textwrap.dedent(
        f"""
        import asyncio, json, signal, sys
        from pathlib import Path
        from swe_agent.orchestrator.batch.local import LocalExecutor
        from swe_agent.orchestrator.batch.outputs import Outputs
        from swe_agent.orchestrator.batch.runner import BatchPlan, Runner, run_batch
        from swe_agent.orchestrator.batch.screen import PlainScreen
        from swe_agent.orchestrator.batch.settings import InstanceSettings
        from swe_agent.orchestrator.batch.state import BatchState
        from swe_agent.orchestrator.benchmarks.instance import Instance
        from swe_agent.orchestrator.benchmarks.sealed import SealedGold
        directory = Path({str(tmp_path)!r})
        chosen = [Instance(f"i{{n}}", "a/b", "0" * 40, "x", SealedGold.poisoned("i")) for n in range(6)]
        async def main():
            state = BatchState(directory)
            executor = LocalExecutor(directory / "logs", processes=2)
            knobs = {{"faults": {{f"i{{n}}": ["slow"] for n in {slow!r}}}}}
            (directory / "knobs.json").write_text(json.dumps(knobs))
            runner = Runner(BatchPlan(InstanceSettings(name="m"), 2, entry="batch_entries:faulty"), chosen,
                            state, executor, Outputs(state, chosen, "m"), PlainScreen(6, 0, quiet=True))
            loop = asyncio.get_running_loop()
            print("ready", flush=True)
            return await run_batch(runner, lambda h: loop.add_signal_handler(signal.SIGINT, h, 2), lambda n: None)
        ended, caught = asyncio.run(main())
        print(ended.why, caught, flush=True)
        """
    )


def _start(tmp_path: Path, slow: range) -> subprocess.Popen[str]:
    """Six instances, two at once; those in `slow` do not end the first time they are begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", _driver(tmp_path, slow)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _until(check: Any, timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def _workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_first_interrupt_checkpoints_within_ten_seconds_and_leaves_no_process(tmp_path: Path) -> None:
    process = _start(tmp_path, range(6))
    _until(lambda: len(list(tmp_path.glob("instances/*/begun"))) == 2)
    workers = _workers_of(process)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert time.monotonic() - begin < 10
    assert output.strip() == "stopped 2"
    _until(lambda: all(_gone(pid) for pid in workers), 5)
    assert predictions(tmp_path) == {}
    state = BatchState(tmp_path)
    assert [state.of(f"i{n}").outcome.kind for n in range(2)] == ["interrupted"] * 2  # type: ignore[union-attr]
    state.close()


def test_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    process = _start(tmp_path, range(6))
    _until(lambda: len(list(tmp_path.glob("instances/*/begun"))) == 2)
    for worker in _workers_of(process):
        os.kill(worker, signal.SIGSTOP)  # it can neither checkpoint nor end by itself
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.monotonic() - begin < GRACE_S


def test_kill_nine_loses_nothing_and_repeats_nothing_finished(tmp_path: Path) -> None:
    process = _start(tmp_path, range(2, 6))
    _until(lambda: len(list(tmp_path.glob("instances/*/begun"))) == 4)
    workers = _workers_of(process)
    process.kill()
    process.wait()
    _until(lambda: all(_gone(pid) for pid in workers), 10)
    state = BatchState(tmp_path)
    assert [state.of(f"i{n}").finished for n in range(6)] == [True, True, False, False, False, False]
    state.close()
    again = _start(tmp_path, range(0))
    output, _ = again.communicate(timeout=60)
    assert output.strip() == "None None"
    assert sorted(predictions(tmp_path)) == [f"i{n}" for n in range(6)]
    begun_again = [len((tmp_path / f"instances/i{n}/begun").read_text()) for n in range(6)]
    assert begun_again == [1, 1, 2, 2, 1, 1]
