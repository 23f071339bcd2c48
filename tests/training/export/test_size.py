"""No kind grows with the square of a run: rows that repeat one another are fewer, and each stays what it was."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.record.synthetic import synthetic_record, synthetic_records
from swe_agent.orchestrator.record.trajectory_file import dump
from swe_agent.orchestrator.training.export.export import MAKERS, export
from swe_agent.orchestrator.training.export.options import ExportOptions, Tally
from swe_agent.orchestrator.training.export.thinning import spread
from swe_agent.orchestrator.training.export.view import View

REPEATING = ("sft_pc", "kto", "dpo", "reward")


def made(record, kind, growth):
    options = ExportOptions(only="all", min_margin=0.0, max_growth=growth)
    tally = Tally()
    view = View(record, len(dump(record)))
    return [row.dumps() for row in MAKERS[kind](view, options, tally)], tally.reasons["thinned"]


@pytest.mark.parametrize("kind", REPEATING)
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(2, 24),
    branches=st.integers(2, 6),
    growth=st.sampled_from([0.2, 1.0, 3.0]),
    tokens=st.booleans(),
)
def test_rows_of_a_run_are_bounded_by_its_record_and_each_is_exact(
    kind, seed, steps, branches, growth, tokens
):
    record = synthetic_record(seed, steps=steps, branches=branches, tokens=tokens)
    every, none = made(record, kind, 0)
    some, thinned = made(record, kind, growth)
    assert none == 0
    assert len(some) + thinned == len(every)
    assert [row for row in every if row in set(some)] == some, "what is left stands as it was, in its order"
    assert bool(some) == bool(every)
    needed = 2000 * len(some)  # task, schemas, keys
    assert len(some) == 1 or sum(map(len, some)) <= growth * len(dump(record)) + needed


@pytest.mark.parametrize("kind", ["sft_pc", "kto"])
def test_a_run_twice_as_long_is_twice_as_large(tmp_path, kind):
    size = {}
    for steps in (40, 80):
        records = synthetic_records(6, steps=steps, observation_chars=300)
        out = tmp_path / str(steps)
        export(records, [kind], out)
        size[steps] = (out / kind / "train.jsonl").stat().st_size / (
            out / "trajectories.jsonl"
        ).stat().st_size
    assert size[80] < 1.3 * size[40]
    assert size[80] < 1.5


def test_both_classes_are_kept_and_steps_of_all_depths(tmp_path):
    record = synthetic_record(3, steps=40, branches=2)
    some, thinned = made(record, "kto", 0.5)
    rows = [json.loads(row) for row in some]
    assert thinned > 0
    labels = [row["label"] for row in rows]
    assert abs(labels.count(True) - labels.count(False)) <= 1
    depths = sorted(len(row["prompt"]) for row in rows)
    assert depths[0] < 55
    assert depths[-1] > 65, "the ends of paths are there too"


@given(st.integers(1, 400), st.floats(0, 1, exclude_max=True))
def test_every_beginning_of_a_spread_is_spread(count, start):
    order = spread(count, start)
    assert sorted(order) == list(range(count))
    first = sorted(order[: max(1, count // 4)])
    gaps = [b - a for a, b in pairwise(first)]
    assert all(gap <= 3 * count / len(first) for gap in gaps)
