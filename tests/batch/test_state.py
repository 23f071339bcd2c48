"""The state of a batch on disk: one writer, torn and damaged lines, a full disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swe_agent.orchestrator.batch.job import JobOutcome
from swe_agent.orchestrator.batch.state import BatchState, DiskFullError
from swe_agent.tools.errors import UsageError


def test_two_processes_refuse_each_other(tmp_path: Path) -> None:
    first = BatchState(tmp_path)
    with pytest.raises(UsageError, match="another batch"):
        BatchState(tmp_path)
    first.close()
    BatchState(tmp_path).close()


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    state = BatchState(tmp_path)
    state.started("a")
    state.ended(JobOutcome("a", "finished", "verified", patch="p"))
    state.started("b")
    state.close()
    path = tmp_path / "state.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole) - 1, len(whole) - 40, -7):
        path.write_bytes(whole[:cut])
        again = BatchState(tmp_path)
        assert again.of("a").finished
        assert not again.of("b").finished
        again.started("c")
        again.close()
        reread = BatchState(tmp_path)
        assert reread.of("c").running
        reread.close()


@pytest.mark.parametrize(
    "line", [b"garbage", b"7", b"{}", b'{"event": "ended", "id": "a"}', b'{"event": "other", "id": "a"}']
)
def test_a_damaged_line_is_named_and_nothing_is_thrown_away(line: bytes, tmp_path: Path) -> None:
    state = BatchState(tmp_path)
    state.ended(JobOutcome("a", "finished", "verified", patch="p"))
    state.close()
    path = tmp_path / "state.jsonl"
    whole = path.read_bytes()
    path.write_bytes(line + b"\n" + whole)
    with pytest.raises(UsageError, match="line 1 is damaged"):
        BatchState(tmp_path)
    assert path.read_bytes() == line + b"\n" + whole
    path.write_bytes(whole)
    again = BatchState(tmp_path)
    assert again.of("a").finished
    again.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_state_survives_a_full_disk(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        state = BatchState(small)
        done = 0
        full = False
        for number in range(200):
            try:
                state.started(f"i{number}")
                state.ended(JobOutcome(f"i{number}", "finished", "verified", patch="x" * 4000))
            except DiskFullError:
                full = True
                break
            done = number + 1
        assert full
        state.close()
        assert 0 < done < 200
        for leftover in small.glob("instances/*/.*.new"):
            pytest.fail(f"{leftover} was left behind")
        (small / "instances/i0/prediction.diff").unlink()
        again = BatchState(small)
        assert sum(again.of(f"i{n}").finished for n in range(200)) == done - 1
        lost = again.of("i0").outcome
        assert lost is not None
        assert (lost.kind, lost.reason) == ("infrastructure", "prediction_lost")
        again.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)
