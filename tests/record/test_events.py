"""The event log: append, continue, rotate, and what a killed writer leaves behind."""

import contextlib
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.record.log import EventLog, read_events, segments, torn_bytes
from swe_agent.tools.errors import RecordError


def test_every_event_comes_back_in_order(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    for number in range(50):
        assert log.append("message", id=f"m{number}", content="é\u2028\x00\udc80") == number
    log.close()
    events = list(read_events(tmp_path / "events.jsonl"))
    assert [event["seq"] for event in events] == list(range(50))
    assert events[7]["id"] == "m7"
    assert events[7]["content"] == "é\u2028\x00\udc80"


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(1, 400))
def test_a_log_cut_anywhere_is_continued_after_its_last_whole_line(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    log = EventLog(path)
    for number in range(10):
        log.append("message", id=str(number), content="x" * number)
    log.close()
    data = path.read_bytes()[: -min(cut, 300)]
    path.write_bytes(data)
    whole = data.count(b"\n")
    assert torn_bytes(path) == len(data) - (data.rfind(b"\n") + 1)
    assert len(list(read_events(path))) == whole
    log = EventLog(path)
    assert log.append("message", id="again") == whole
    log.close()
    assert [event["seq"] for event in read_events(path)] == list(range(whole + 1))
    assert torn_bytes(path) == 0


def test_a_long_log_is_rotated_and_read_as_one(tmp_path):
    path = tmp_path / "events.jsonl"
    for _ in range(3):
        log = EventLog(path, rotate_bytes=20_000)
        for number in range(60):
            log.append("message", id=str(number), content="word " * 200)
        log.close()
    closed = segments(path)
    assert len(closed) > 5
    assert all(segment.suffix == ".gz" for segment in closed)
    assert [event["seq"] for event in read_events(path)] == list(range(180))
    assert sum(item.stat().st_size for item in tmp_path.iterdir()) < 180 * 1000 / 3


def test_a_segment_left_uncompressed_by_a_killed_process_is_compressed_on_opening(tmp_path):
    path = tmp_path / "events.jsonl"
    path.with_name("events.0001.jsonl").write_text('{"seq":0,"at":1,"type":"a"}\n')
    path.with_name("events.0001.jsonl.gz.part").write_bytes(b"half")
    log = EventLog(path)
    assert log.append("b") == 1
    log.close()
    assert [segment.name for segment in segments(path)] == ["events.0001.jsonl.gz"]
    assert [event["type"] for event in read_events(path)] == ["a", "b"]


def test_threads_append_whole_lines(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    threads = [
        threading.Thread(target=lambda: [log.append("x", content="y" * 5000) for _ in range(20)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert [event["seq"] for event in read_events(tmp_path / "events.jsonl")] == list(range(160))


@pytest.mark.parametrize("damage", [b"not json\n", b"[1]\n", b'{"type":"x"}\n'])
def test_damage_before_the_last_line_is_named(tmp_path, damage):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"seq":0,"at":1,"type":"a"}\n' + damage + b'{"seq":2,"at":1,"type":"a"}\n')
    with pytest.raises(RecordError, match="line 2"):
        list(read_events(path))
    with pytest.raises(RecordError, match="line 2"):
        EventLog(path)


def test_the_cost_of_an_event_does_not_grow_with_the_log(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    before = 0
    for _ in range(400):
        log.append("message", content="x" * 3000)
        size = (tmp_path / "events.jsonl").stat().st_size
        assert size - before < 3200
        before = size
    log.close()
    assert json.loads((tmp_path / "events.jsonl").read_bytes().splitlines()[-1])["seq"] == 399


@pytest.mark.parametrize(
    "order",
    [[0, 1, 1, 2], [0, 2, 1, 3], [0, 1, 3], [1, 2, 3]],
    ids=["twice", "exchanged", "lost", "beginning lost"],
)
def test_lines_that_were_repeated_exchanged_or_lost_are_found(tmp_path: Path, order: list[int]) -> None:
    path = tmp_path / "events.jsonl"
    with contextlib.closing(EventLog(path)) as log:
        for number in range(4):
            log.append("nudge", agent="a", reason=str(number))
    lines = path.read_text().splitlines(keepends=True)
    assert len(list(read_events(path))) == 4
    path.write_text("".join(lines[number] for number in order))
    with pytest.raises(RecordError, match="lost, repeated or exchanged"):
        list(read_events(path))
