"""A trained verifier in early stop and branch value: an opinion, after what was executed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swe_agent.orchestrator.search.config import Weights
from swe_agent.orchestrator.search.node import Measurement, VerifierScore
from swe_agent.orchestrator.search.recorded import evaluation_from, evaluation_to
from swe_agent.orchestrator.search.reward import reward

from .test_policy import World, run


@pytest.mark.parametrize(
    ("said", "rollouts"),
    [
        (VerifierScore("v", 0.95, 0.02), 1),
        (VerifierScore("v", 0.95, 0.3), 2),
        (VerifierScore("v", 0.4, 0.02), 2),
        (VerifierScore("v", why="it abstains"), 2),
    ],
)
def test_a_verifier_that_is_sure_ends_the_search_on_top_of_green_tests(
    said: VerifierScore, rollouts: int
) -> None:
    written = Measurement(reproduction={"t": True}, broken=(), generated=frozenset({"t"}), verifier=said)
    assert len(run(World(lambda r: (r.node, written)), samples=6).finished) == rollouts
    red = replace(written, reproduction={"t": False})
    assert len(run(World(lambda r: (r.node, red)), samples=3).finished) == 3, "never without the tests"


def test_a_verifier_has_a_part_in_the_value_of_what_breaks_nothing() -> None:
    half = Measurement(reproduction={"a": True, "b": False}, broken=())
    values = [
        reward(replace(half, verifier=VerifierScore("v", probability)), Weights())
        for probability in (0.1, None, 0.9)
    ]
    assert values[0] < values[1] < values[2]
    broken = replace(half, broken=("x",))
    assert reward(replace(broken, verifier=VerifierScore("v", 1.0)), Weights()) < values[0]
    loved = replace(half, verifier=VerifierScore("v", 0.9, 0.1))
    assert evaluation_from(evaluation_to(loved)) == loved
    assert "verifier" not in evaluation_to(half)
