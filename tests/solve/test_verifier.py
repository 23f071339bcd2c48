"""A trained verifier chooses where executed tests do not; it never overrules them, and its failure ends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.json_server import JsonServer

from swe_agent.orchestrator.record.trajectory_file import read_runs
from swe_agent.orchestrator.verifiers.features import recorded_features

from .conftest import RIGHT, Done, events, review, said
from .test_tree import FLOOR, ISSUE, NOTHING_MORE, OTHERWISE, STAYS, patched, selected, untested, writes

Run = Callable[..., Done]
__all__ = ["untested"]


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def reward_model(asked: list[dict[str, Any]]) -> Iterator[JsonServer]:
    """Loves the patch that breaks tests, and of the others the one that the search found later."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        asked.append(body)
        if f"+    {FLOOR}\n" in body["patch"]:
            return {"score": 1.0}
        return {"score": 0.9 if OTHERWISE in body["patch"] else None}

    server = JsonServer(answer)
    yield server
    server.close()


def turns() -> dict[str, Any]:
    return {
        "run/tester/0": writes(0, 60, 250),
        "tester": NOTHING_MORE,
        "n0/coder/0": patched(FLOOR),
        "n0*/debugger/*": STAYS,
        "n1/coder/0": patched(RIGHT),
        "n2/coder/0": patched(OTHERWISE),
        "n1/critic/0": [said(review(True, score=7))],
        "n2/critic/0": [said(review(True, score=7))],
    }


def command(repo: Path, model: str, run: Path, verifier: str) -> list[Any]:
    return [
        *("solve", "--text", ISSUE, "--repo", repo, "--model", model, "--search", "best-of-n"),
        *("--samples", 3, "--json", "--output", run, "--verifier", verifier),
    ]


def test_it_chooses_where_tests_do_not_and_never_overrules_them(
    swe_agent: Run,
    untested: Path,
    script: Callable[..., str],
    tmp_path: Path,
    reward_model: JsonServer,
    asked: list[dict[str, Any]],
) -> None:
    run = tmp_path / "r"
    done = swe_agent(*command(untested, script(**turns()), run, f"{reward_model.origin}/score"))
    assert done.code == 0, done.err
    assert selected(run)["node"] == "n2", "n0 is loved and breaks tests; of the others the verifier knows one"
    assert any("gives it 0.90" in reason for reason in done.json["reasons"])
    (record,) = read_runs(run)
    opinions = {node.id: node.verifier for node in record.nodes if node.terminal}
    assert opinions["n2"] is not None
    assert opinions["n2"].probability == 0.9
    assert opinions["n1"] is not None
    assert (opinions["n1"].probability, opinions["n1"].why) == (None, "it abstains")
    node = next(node for node in record.nodes if node.id == "n2")
    told = next(body["features"] for body in asked if OTHERWISE in body["patch"])
    assert recorded_features(record, node) == pytest.approx(told), (
        "what it learns from is what it is asked about"
    )
    assert len({body["patch"] for body in asked}) == len(asked), (
        "the same patch and evidence is asked about once"
    )


def test_an_endpoint_that_fails_is_no_opinion(
    swe_agent: Run, untested: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    server = JsonServer(lambda body: {"score": "high"})
    run = tmp_path / "r"
    try:
        done = swe_agent(*command(untested, script(**turns()), run, server.origin))
    finally:
        server.close()
    assert done.code == 0, done.err
    assert selected(run)["node"] == "n1", "as without it"
    assert done.err.count("its score is no number from 0 to 1: 'high'; the choice goes on without it") == 1
    (record,) = read_runs(run)
    opinions = [node.verifier for node in record.nodes if node.terminal and node.verifier]
    assert opinions
    assert all(one.probability is None and "cannot be asked" in one.why for one in opinions)
    assert all(event["verifier"]["probability"] is None for event in events(run, "opinion"))
