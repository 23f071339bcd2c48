"""The tree over real workspaces: what looks right and is wrong is not submitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import CRITIC, RIGHT, WRONG, Done, call, edit, events, git, review, said

Run = Callable[..., Done]
ISSUE = "A stay of exactly one hour is charged as two, and of exactly two hours as three."
FLOOR = "return minutes // MINUTES_PER_HOUR"
"""Right on the hour, wrong everywhere else: three tests of the suite break."""
SPECIAL = "return 1 if minutes % MINUTES_PER_HOUR == 0 else minutes // MINUTES_PER_HOUR + 1"
"""Breaks nothing that the suite tests, and is right for one hour only."""
OTHERWISE = "return (minutes + MINUTES_PER_HOUR - 1) // MINUTES_PER_HOUR"


@pytest.fixture
def untested(parking: Path) -> Path:
    """The example without the tests that show its bug."""
    path = parking / "tests" / "test_tariff.py"
    text = path.read_text()
    start = text.index('@pytest.mark.parametrize(("arrival"')
    path.write_text(text[:start] + text[text.index("def test_a_day_costs") :])
    git(parking, "commit", "-qam", "without the failing tests")
    return parking


def writes(number: int, minutes: int, price: int) -> list[dict[str, Any]]:
    """A Tester that writes one test and names it."""
    path = f"tests/test_issue_{number}.py"
    test = f"from parking import charge\n\n\ndef test_issue():\n    assert charge({minutes}) == {price}\n"
    named = call("finish", summary="reproduced", failingTests=[f"{path}::test_issue"], reproduced=True)
    return [said(call("writeFile", path=path, content=test)), said(named)]


NOTHING_MORE = [said(call("finish", summary="nothing new", failingTests=[], reproduced=False))]
STAYS = [said(call("finish", summary="it looks right to me"))]


def patched(line: str) -> list[dict[str, Any]]:
    return [said(edit(WRONG, line)), said(call("finish", summary="changed the rounding"))]


def selected(run: Path) -> dict[str, Any]:
    (event,) = events(run, "selected")
    return event


@pytest.mark.parametrize("workers", [1, 8])
def test_a_candidate_that_breaks_a_regression_loses_to_the_right_one(
    swe_agent: Run, untested: Path, script: Callable[..., str], tmp_path: Path, workers: int
) -> None:
    """The first candidate passes the team's own test; only the suite knows better."""
    turns = {
        "run/tester/0": writes(0, 60, 250),
        "tester": NOTHING_MORE,
        "n0/coder/0": patched(FLOOR),
        "n0*/debugger/*": STAYS,
        "n1/coder/0": patched(RIGHT),
        "n2/coder/0": patched(OTHERWISE),
        "n1/critic/0": [said(review(True, score=7))],
        "n2/critic/0": [said(review(True, score=7))],
    }
    run = tmp_path / "r"
    done = swe_agent(
        "solve", "--text", ISSUE, "--repo", untested, "--model", script(**turns), "--search", "tree",
        "--samples", 6, "--workers", workers, "--json", "--output", run,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert RIGHT in done.json["patch"]
    assert selected(run)["node"] == "n1"
    finished = [e["node"] for e in events(run, "node_finished") if e["terminal"]]
    assert finished == ["n0.0", "n1", "n2"], "the same set for any number of workers"
    first = next(e for e in events(run, "node_finished") if e["node"] == "n0.0")
    assert first["reward"]["components"]["reproduction"]["value"] == 1
    assert first["reward"]["components"]["regression"]["value"] == 0
    assert any("two independent trajectories" in reason for reason in done.json["reasons"])


def test_the_right_patch_wins_though_generated_tests_disagree(
    swe_agent: Run, untested: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    """The first generated test is wrong, and the first candidate passes just that one. Two more tests and
    two candidates agree with each other, and carry the choice. It is not claimed to be verified."""
    turns = {
        "run/tester/0": writes(0, 120, 250),
        "run/tester/1": writes(1, 120, 500),
        "run/tester/2": writes(2, 180, 750),
        "n0/coder/0": patched(SPECIAL),
        "critic": [said(review(True, score=6))],
        "n1/coder/0": patched(RIGHT),
        "n2/coder/0": patched(OTHERWISE),
        "debugger": STAYS,
    }
    run = tmp_path / "r"
    done = swe_agent(
        "solve", "--text", ISSUE, "--repo", untested, "--model", script(**turns), "--search", "tree",
        "--samples", 3, "--json", "--output", run,
    )  # fmt: skip
    assert done.code == 4, done.err
    assert RIGHT in done.json["patch"] or OTHERWISE in done.json["patch"]
    assert selected(run)["node"] in ("n1.0", "n2.0")
    (added,) = events(run, "reproduction_added")
    assert added["targets"] == ["tests/test_issue_1.py::test_issue", "tests/test_issue_2.py::test_issue"]
    assert any("disagree on reproduction tests" in reason for reason in done.json["reasons"])


def test_an_easy_issue_costs_under_tree_what_it_costs_under_linear(
    swe_agent: Run, untested: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    spent = {}
    usage = {"prompt_tokens": 1000, "completion_tokens": 50}
    steps = {
        "run/tester/*": writes(0, 60, 250),
        "coder": patched(RIGHT),
        "critic": CRITIC,
    }
    priced = {name: [{**turn, "usage": usage} for turn in turns] for name, turns in steps.items()}
    for search, samples in (("linear", ()), ("tree", ("--samples", 8))):
        done = swe_agent(
            "solve", "--text", ISSUE, "--repo", untested, "--model", script(**priced), "--search", search,
            *samples, "--workers", 8, "--json", "--output", tmp_path / search,
        )  # fmt: skip
        assert done.code == 0, done.err
        totals = done.json["totals"]
        spent[search] = (totals["calls"], totals["prompt_tokens"] + totals["completion_tokens"])
    assert spent["linear"][1] > 0
    assert spent["tree"][0] <= spent["linear"][0] * 1.1
    assert spent["tree"][1] <= spent["linear"][1] * 1.1


@pytest.mark.slow
def test_a_tree_cut_anywhere_goes_on_to_the_same_choice(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    """Every root is wrong and only a branch is right. The log is cut inside and between rollouts; the rest
    rebuilds workspaces and conversations from it, ends alike and pays for no call again."""
    mended = [said(edit(FLOOR, RIGHT)), said(call("finish", summary="ceiling division"))]
    turns = {"coder": patched(FLOOR), "*.[1-9]/debugger/0": mended, "debugger": STAYS}
    whole = tmp_path / "whole"
    done = swe_agent(
        "solve", "--text", ISSUE, "--repo", parking, "--model", script(**turns), "--search", "tree",
        "--samples", 6, "--json", "--output", whole,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert RIGHT in done.json["patch"]
    assert events(whole, "fork")
    lines = (whole / "events.jsonl").read_text().splitlines(keepends=True)
    summary = json.loads((whole / "run.json").read_text())
    rollouts = [i for i, line in enumerate(lines) if json.loads(line)["type"] == "rollout"]
    forked = next(i for i, line in enumerate(lines) if json.loads(line)["type"] == "fork")
    for cut in ((rollouts[0] + rollouts[1]) // 2, forked + 1, forked + 6):
        run = tmp_path / f"cut{cut}"
        run.mkdir()
        (run / "events.jsonl").write_text("".join(lines[:cut]))
        (run / "run.json").write_text(json.dumps({**summary, "finished": False, "result": None}))
        resumed = swe_agent("solve", "--resume", run, "--json", "-q")
        assert resumed.code == 0, resumed.err
        assert resumed.json["patch"] == done.json["patch"]
        assert resumed.json["reasons"] == done.json["reasons"]
        paid = [(e["scope"], e["index"]) for e in events(run, "call")]
        assert len(paid) == len(set(paid))
        assert sorted(paid) == sorted((e["scope"], e["index"]) for e in events(whole, "call"))
        for kind in ("node", "fork", "node_finished", "vote", "decision", "selected"):
            strip = [{k: v for k, v in e.items() if k not in ("seq", "at")} for e in events(run, kind)]
            assert strip == [
                {k: v for k, v in e.items() if k not in ("seq", "at")} for e in events(whole, kind)
            ]


@pytest.mark.slow
def test_offline_alone_repairs_what_needs_two_edits(swe_agent: Run, tmp_path: Path) -> None:
    repo = tmp_path / "marks"
    (repo / "tests").mkdir(parents=True)
    (repo / "pyproject.toml").write_text(
        '[project]\nname = "marks"\nversion = "0"\n[tool.pytest.ini_options]\npythonpath = ["."]\n'
    )
    (repo / "marks.py").write_text(
        "def span(marks):\n    return max(marks) + min(marks)\n\n\n"
        "def best(marks, count=1):\n    return sorted(marks)[:count]\n"
    )
    (repo / "tests" / "test_marks.py").write_text(
        "from marks import best, span\n\n\ndef test_span():\n    assert span([2, 6]) == 4\n\n\n"
        "def test_best():\n    assert best([1, 5, 3], 2) == [5, 3]\n"
    )
    git(repo, "init", "-q")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "base")
    done = swe_agent(
        "solve", "--text", "span is wrong and best returns the worst marks", "--repo", repo, "--search", "tree",
        "--model", "offline/repair", "--proposers", "offline", "--json", "--output", tmp_path / "r",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["fixed"] == ["tests/test_marks.py::test_best", "tests/test_marks.py::test_span"]
    assert done.json["patch"].count("@@ ") == 2 or done.json["patch"].count("\n-") >= 2
