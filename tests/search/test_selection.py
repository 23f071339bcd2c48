"""Truth tables of the final choice."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_agent.orchestrator.search.agreement import agree, telling_tests
from swe_agent.orchestrator.search.config import Weights
from swe_agent.orchestrator.search.node import Candidate, CriticScore, Measurement, VerifierScore
from swe_agent.orchestrator.search.reward import components, reward
from swe_agent.orchestrator.search.selection import select

from .toy import patch_of


def P(probability: float | None) -> VerifierScore:
    return VerifierScore("v", probability, 0.02)


def candidate(
    order: int,
    tests: str = "",
    *,
    broken: int | None = 0,
    critic: float | None = None,
    votes: int = 1,
    roots: int = 1,
    lines: int = 1,
    **more: Any,
) -> Candidate:
    """`tests`: one `+` or `-` per reproduction test."""
    body = "".join(f"+{order}.{i}\n" for i in range(lines))
    patch = patch_of(order)
    patch = type(patch)(f"--- a/f\n+++ b/f\n@@ -1 +1,{lines} @@\n-old\n{body}")
    evaluation = Measurement(
        reproduction={f"t{i}": mark == "+" for i, mark in enumerate(tests)},
        broken=None if broken is None else tuple(f"suite::{i}" for i in range(broken)),
        critic=None if critic is None else CriticScore(critic, 0.05, 3),
        **more,
    )
    return Candidate(
        node=f"n{order}",
        root=f"n{order}",
        order=order,
        patch=patch,
        normalised_hash=str(order),
        evaluation=evaluation,
        reward=reward(evaluation, Weights()),
        votes=tuple(f"v{i}" for i in range(votes)),
        voters=tuple(f"r{i}" for i in range(roots)),
    )


def winner(*candidates: Candidate) -> int | None:
    chosen = select(candidates).chosen
    return chosen.order if chosen else None


@pytest.mark.parametrize(
    ("why", "candidates", "expected"),
    [
        ("nobody", [], None),
        (
            "a regression loses to none, whatever else",
            [candidate(0, "++", broken=1, critic=1.0), candidate(1, "--")],
            1,
        ),
        (
            "one regression loses less than two",
            [candidate(0, "++", broken=2), candidate(1, "+-", broken=1)],
            1,
        ),
        ("measured clean before not measured", [candidate(0, "++", broken=None), candidate(1, "+-")], 1),
        (
            "not measured anywhere: go on",
            [candidate(0, "+-", broken=None), candidate(1, "++", broken=None)],
            1,
        ),
        ("more tests passed", [candidate(0, "+-"), candidate(1, "++")], 1),
        (
            "two that agree beat one that passes another test",
            [candidate(0, "-+"), candidate(1, "+-"), candidate(2, "+-")],
            1,
        ),
        ("samples that agree count", [candidate(0, "-+"), candidate(1, "+-", votes=3)], 1),
        (
            "tests that none passes say nothing",
            [candidate(0, "+-"), candidate(1, "+-", critic=None, votes=2)],
            1,
        ),
        (
            "same tests: a trained verifier before the Critic",
            [candidate(0, "+", critic=0.9, verifier=P(0.2)), candidate(1, "+", critic=0.4, verifier=P(0.7))],
            1,
        ),
        (
            "no verifier lifts what fails a test",
            [candidate(0, "+-", verifier=P(1.0)), candidate(1, "++", verifier=P(0.0))],
            1,
        ),
        (
            "nor what breaks one",
            [candidate(0, "++", broken=1, verifier=P(1.0)), candidate(1, "+", verifier=P(0.0))],
            1,
        ),
        (
            "a verifier that abstains is undecided",
            [candidate(0, "+", verifier=P(0.3)), candidate(1, "+", verifier=P(None)), candidate(2, "+")],
            1,
        ),
        ("same tests: the Critic", [candidate(0, "+", critic=0.4), candidate(1, "+", critic=0.6)], 1),
        (
            "same Critic: independent votes",
            [candidate(0, "+", votes=3), candidate(1, "+", votes=2, roots=2)],
            1,
        ),
        ("same roots: votes", [candidate(0, "+", votes=1), candidate(1, "+", votes=2)], 1),
        ("then the smaller diff", [candidate(0, "+", lines=5), candidate(1, "+", lines=2)], 1),
        ("then the earliest", [candidate(1, "+"), candidate(0, "+")], 0),
        ("unsound ones never", [candidate(0, "++", applies=False), candidate(1, "--", parses=False)], None),
        (
            "an unsound one loses to anything",
            [candidate(0, "++", parses=False), candidate(1, "--", broken=3)],
            1,
        ),
        (
            "the Critic's lower half is out before tests are weighed",
            [
                candidate(i, "++" if i == 7 else "+-", critic=0.1 if i == 7 else 0.5 + i / 100)
                for i in range(8)
            ],
            6,
        ),
        (
            "three are always left to the tests",
            [candidate(0, "+", critic=0.9), candidate(1, "-", critic=0.8), candidate(2, "+", critic=0.95)],
            2,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_truth_table(why: str, candidates: list[Candidate], expected: int | None) -> None:
    assert winner(*candidates) == expected, why
    assert winner(*reversed(candidates)) == expected, "the order of the list does not matter"


def test_dual_agreement_scores() -> None:
    matrix = {"a": {"t": True, "u": False}, "b": {"t": True, "u": False}, "c": {"t": False, "u": True}}
    groups = agree(matrix, {})
    assert groups[0].patches == ("a", "b")
    # Equal weights: √2 against 1. t: held by √2 of √2+1, the one outside fails it; u: held by 1, half fail it.
    total = math.sqrt(2) + 1
    assert groups[0].score == pytest.approx(math.sqrt(2) * math.sqrt(2) / total * 2)
    assert groups[1].score == pytest.approx(1 / total * (1 + 0.0))


def test_tests_that_all_or_none_pass_or_that_someone_did_not_run_tell_nothing() -> None:
    matrix = {
        "a": {"all": True, "none": False, "some": True, "once": True},
        "b": {"all": True, "none": False, "some": False},
    }
    assert telling_tests(matrix) == ["some"]


def test_a_cluster_of_alike_tests_does_not_outvote_by_number() -> None:
    alike = {f"t{i}": i < 9 for i in range(10)}
    other = {f"t{i}": i == 9 for i in range(10)}
    weights = {**{f"t{i}": 1 / 9 for i in range(9)}, "t9": 1.5}
    groups = agree({"a": alike, "b": other}, weights)
    assert groups[0].patches == ("b",)
    assert agree({"a": alike, "b": other}, {})[0].patches == ("a",)


tables = st.lists(
    st.builds(
        candidate,
        st.integers(0, 99),
        st.text("+-", min_size=3, max_size=3),
        broken=st.one_of(st.none(), st.integers(0, 2)),
        critic=st.one_of(st.none(), st.floats(0, 1)),
        votes=st.integers(1, 4),
        lines=st.integers(1, 4),
    ),
    max_size=8,
    unique_by=lambda c: c.order,
)


@settings(max_examples=150, deadline=None)
@given(tables, st.randoms())
def test_the_choice_is_a_function_of_the_set(candidates: list[Candidate], rng: Any) -> None:
    shuffled = list(candidates)
    rng.shuffle(shuffled)
    first, second = select(candidates), select(shuffled)
    assert first == second
    assert sorted(c.order for c in first.ranking) == sorted(c.order for c in candidates)
    if not candidates:
        return
    measured = [len(c.evaluation.broken) for c in candidates if c.evaluation.broken is not None]
    chosen = first.chosen
    assert chosen is not None
    assert not measured or (
        chosen.evaluation.broken is not None and len(chosen.evaluation.broken) == min(measured)
    )
    if chosen.evaluation.broken:
        assert first.abstained
        assert (first.confidence or 0) <= 0.1
    if not first.abstained:
        assert chosen.evaluation.spotless
        assert chosen.evaluation.broken == ()


def test_it_says_why_and_abstains() -> None:
    good = select([candidate(0, "++", critic=0.9, votes=2, roots=2), candidate(1, "+-", critic=0.3)])
    assert good.verified
    assert not good.abstained
    text = " | ".join(good.reasons)
    assert "passes 2 of 2 reproduction tests" in text
    assert "breaks no test" in text
    assert "Critic 0.90 ± 0.05" in text
    assert "best rejected alternative n1: it passes 1 of 2" in text
    partly = select([candidate(0, "+-", critic=0.9)])
    assert partly.abstained
    assert not partly.verified
    assert "fails tests that show the issue" in partly.reasons[-1]
    blind = select([candidate(0, "", broken=None)])
    assert blind.abstained
    assert blind.confidence is None
    opinion = select([candidate(0, "", critic=0.95)])
    assert not opinion.verified
    assert opinion.abstained, "an opinion and a clean suite are not enough"
    assert select([]).reasons == ("no candidate changes anything",)


@settings(max_examples=200, deadline=None)
@given(
    st.text("+-", max_size=4),
    st.one_of(st.none(), st.integers(0, 2)),
    st.one_of(st.none(), st.floats(0, 1)),
    st.floats(0, 1),
)
def test_the_reward(tests: str, broken: int | None, critic: float | None, other: float) -> None:
    one = candidate(0, tests, broken=broken, critic=critic)
    value = one.reward
    if not tests and broken is None and critic is None:
        assert value is None, "nothing measured is not 0"
        return
    assert value is not None
    assert 0 <= value <= 1
    parts = components(one.evaluation, Weights())
    measured = [part for part in parts.values() if part.value is not None]
    assert sum(part.weight for part in measured) == pytest.approx(1)
    assert value == pytest.approx(sum((part.value or 0) * part.weight for part in measured))
    if broken:
        loved = candidate(0, tests, broken=broken, critic=other).reward
        unloved = candidate(0, tests, broken=broken, critic=None).reward
        assert loved is not None
        assert unloved is not None
        assert loved <= unloved + 1e-12, "no opinion lifts a patch that breaks a test"
    assert reward(Measurement(applies=False), Weights()) == 0
    assert reward(Measurement(parses=False, reproduction={"t": True}), Weights()) == 0


def test_a_generated_test_can_be_outvoted_and_the_repositorys_own_cannot() -> None:
    def table(written: frozenset[str]) -> list[Candidate]:
        return [
            candidate(0, "++-", critic=0.9, votes=2, roots=2, generated=written),
            candidate(1, "++-", critic=0.85, generated=written),
            candidate(2, "--+", critic=0.3, generated=written),
        ]

    outvoted = select(table(frozenset({"t0", "t1", "t2"})))
    assert outvoted.chosen is not None
    assert outvoted.chosen.order == 0
    assert not outvoted.abstained
    assert not outvoted.verified, "it is still not green, and does not say so"
    given = select(table(frozenset({"t0", "t1"})))
    assert given.abstained
    assert "fails tests that show the issue" in given.reasons[-1]
