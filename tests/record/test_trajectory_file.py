"""Files of records: odd bytes, huge observations, cut files, older versions."""

import gzip
import json

import pytest

from swe_agent.orchestrator.record.schema import Trajectory
from swe_agent.orchestrator.record.synthetic import synthetic_record, synthetic_records
from swe_agent.orchestrator.record.trajectory_file import (
    dump,
    load,
    read_runs,
    read_trajectories,
    write_trajectories,
)
from swe_agent.tools.errors import RecordError


def test_round_trip_with_the_schema_beside_it(tmp_path):
    path = tmp_path / "trajectory.jsonl"
    records = list(synthetic_records(5))
    assert write_trajectories(path, records) == 5
    assert list(read_trajectories(path)) == records
    schema = json.loads((tmp_path / "record.schema.json").read_text())
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Trajectory.model_fields)


@pytest.mark.parametrize(
    "text", ["naïve 🙂 \u2028\u2029\x85", "a\x00b\x01\x1b[31m", "\r\n\t\\\"'", "x" * 10_000_000]
)
def test_observations_come_back_as_they_were(tmp_path, text):
    record = synthetic_record(1, tokens=False)
    for call in record.calls:
        call.prompt_sha256 = None
    record.messages[-1].content = text
    path = tmp_path / "t.jsonl"
    write_trajectories(path, [record])
    assert path.read_bytes().count(b"\n") == 1
    (again,) = read_trajectories(path)
    assert again.messages[-1].content == text


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.01])
def test_a_cut_last_line_is_named_and_the_rest_is_read(tmp_path, keep):
    path = tmp_path / "t.jsonl"
    write_trajectories(path, synthetic_records(3))
    lines = path.read_bytes().splitlines(keepends=True)
    last = lines[-1][: max(1, int(len(lines[-1]) * keep))]
    path.write_bytes(b"".join(lines[:-1]) + last)
    losses = []
    assert len(list(read_trajectories(path, on_loss=losses.append))) == 2
    assert losses == [f"{path}: line 3 is cut off after {len(last)} bytes: 1 record lost"]


def test_a_last_line_without_its_newline_is_still_a_record(tmp_path):
    path = tmp_path / "t.jsonl"
    write_trajectories(path, synthetic_records(2))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    losses = []
    assert len(list(read_trajectories(path, on_loss=losses.append))) == 2
    assert losses == []


def test_damage_in_the_middle_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "t.jsonl"
    write_trajectories(path, synthetic_records(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:100] + b"\n" + lines[2])
    with pytest.raises(RecordError, match=r"line 2: not JSON"):
        list(read_trajectories(path))


def test_gzip_is_read(tmp_path):
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress((dump(synthetic_record(1)) + "\n").encode()))
    assert [record.run_id for record in read_trajectories(path)] == ["synthetic-1"]


def test_batch_directories_are_read_in_order(tmp_path):
    for name in ("b", "a"):
        folder = tmp_path / "instances" / name
        folder.mkdir(parents=True)
        write_trajectories(folder / "trajectory.jsonl", [synthetic_record(ord(name))])
    (tmp_path / "instances" / "empty").mkdir()
    assert [record.run_id for record in read_runs(tmp_path)] == ["synthetic-97", "synthetic-98"]
    with pytest.raises(RecordError, match="is not a run"):
        list(read_runs(tmp_path / "instances" / "empty"))


def test_version_0_is_migrated_and_says_what_is_missing():
    old = {
        "schema": "swe-trajectory/0",
        "run_id": "r",
        "instance": {"id": "i", "text": "Fix it.", "repository": "o/r"},
        "model": "m",
        "messages": [
            {"role": "user", "content": "Fix it."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
        ],
        "patch": "diff",
        "resolved": True,
    }
    record = load(json.dumps(old))
    assert record.schema_version == "swe-trajectory/1"
    assert [message.parent for message in record.messages] == [None, "m0", "m1"]
    assert not any(message.sampled for message in record.messages)
    assert record.outcome.resolved is None
    assert any("resolved=True" in loss for loss in record.losses)


@pytest.mark.parametrize("version", ["swe-trajectory/9", "other", 7])
def test_an_unknown_version_is_refused(version):
    data = json.loads(dump(synthetic_record(1)))
    data["schema_version"] = version
    with pytest.raises(RecordError, match="unknown schema version"):
        load(json.dumps(data))
