"""The differential check of bench/: its inputs, and its clock."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def bench() -> tuple:
    sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
    return importlib.import_module("repair_inputs"), importlib.import_module("repair_check")


def test_tables_are_drawn_as_tables(bench) -> None:
    inputs, _ = bench
    known = [({"p": "pear", "b": "plum"},), ({"A": "x", 5: "y"},), ({},)]
    made = inputs.Inputs(known, 0)
    drawn = [made.draw() for _ in range(300)]
    assert all(len(row) == 1 and type(row[0]) is dict for row in drawn)
    assert len({repr(row) for row in drawn}) > 60


def test_waiting_for_the_processor_is_not_being_slow(bench) -> None:
    """A right program that only waits is right: a crowded machine makes programs wait."""
    import signal
    import time

    _, check = bench
    before = signal.signal(signal.SIGPROF, check._alarm)
    try:
        assert check._outcome(lambda: time.sleep(0.4) or 3, (), 0.2) == ("value", 3)

        def endless() -> None:
            while True:
                pass

        assert check._outcome(endless, (), 0.2)[0] == "time"
    finally:
        signal.signal(signal.SIGPROF, before)
