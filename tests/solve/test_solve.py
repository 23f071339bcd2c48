"""The main job, end to end, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import (
    CODER,
    FAILING,
    ISSUE,
    RIGHT,
    SOLVE,
    WRONG,
    Done,
    call,
    edit,
    events,
    git,
    review,
    said,
    state_of,
)

Run = Callable[..., Done]


def test_offline_solves_a_one_line_bug(swe_agent: Run, parking: Path, tmp_path: Path) -> None:
    (tmp_path / "ISSUE.md").write_text(ISSUE)
    before = state_of(parking)
    done = swe_agent(
        "solve",
        "--file",
        tmp_path / "ISSUE.md",
        "--repo",
        parking,
        "--model",
        "offline/repair",
        "--json",
        "--output",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    assert done.json["verified"] is True
    assert set(done.json["fixed"]) == set(FAILING)
    assert done.json["broken"] == []
    assert state_of(parking) == before
    clean = tmp_path / "clean"
    git(tmp_path, "clone", "-q", str(parking), str(clean))
    patch = tmp_path / "run" / "patch.diff"
    assert patch.read_text() == done.json["patch"]
    git(clean, "apply", "--check", str(patch))
    assert not any(path.startswith("tests/") for path in changed(patch.read_text()))
    started = events(tmp_path / "run", "run_started")[0]
    assert started["is_llm"] is False
    assert started["base_commit"] == git(parking, "rev-parse", "HEAD").strip()
    assert {c["is_llm"] for c in events(tmp_path / "run", "call")} == {False}
    assert {c["usage"]["prompt_tokens"] for c in events(tmp_path / "run", "call")} == {0}
    assert not (tmp_path / "run" / "work" / "repository").exists()
    assert "hours_begun" in (tmp_path / "run" / "report.html").read_text()
    assert (
        json.loads((tmp_path / "run" / "trajectory.jsonl").read_text())["schema_version"]
        == "swe-trajectory/1"
    )


def changed(patch: str) -> list[str]:
    return [line[6:] for line in patch.splitlines() if line.startswith("+++ b/")]


def test_offline_needs_a_failing_test(swe_agent: Run, parking: Path, tmp_path: Path) -> None:
    path = parking / "parking" / "tariff.py"
    path.write_text(path.read_text().replace(WRONG, RIGHT))
    git(parking, "commit", "-qam", "solved")
    done = swe_agent("solve", "--text", "It is slow", "--repo", parking, "--json", "-q")
    assert done.code == 3
    assert done.json["patch"] == ""
    assert "needs a failing test" in done.json["status"]
    assert "--model" in done.json["status"]


def test_a_team_solves_it(swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path) -> None:
    done = swe_agent(*SOLVE, parking, "--model", script(), "--json", "--output", tmp_path / "r")
    assert done.code == 0, done.err
    assert {e["agent"].partition(":")[0] for e in events(tmp_path / "r", "call")} == {
        "tester",
        "coder",
        "critic",
    }
    shown = swe_agent("runs", "show", tmp_path / "r", "--json")
    assert len(json.loads(shown.out)["messages"]) == len(events(tmp_path / "r", "message"))
    page = swe_agent("report", tmp_path / "r")
    text = Path(page.out.strip()).read_text()
    assert "charge" in text
    assert swe_agent("report", tmp_path / "r", "--html", "-").out == text
    lost = swe_agent("report", tmp_path / "r", "--html", tmp_path / "gone" / "x.html")
    assert (lost.code, lost.err.count("\n")) == (2, 1)
    assert not (tmp_path / "gone").exists()


def test_one_agent_alone(swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path) -> None:
    done = swe_agent(
        *SOLVE,
        parking,
        "--roles",
        "single",
        "--model",
        script(single=CODER),
        "--json",
        "--output",
        tmp_path / "r",
    )
    assert done.code == 0, done.err
    assert {e["agent"].partition(":")[0] for e in events(tmp_path / "r", "call")} == {"single"}


def test_disagreements_end_well(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    """The Tester's own test is wrong and is dropped; the Coder's patch breaks a test; the Debugger mends it;
    the Critic rejects it once; the Debugger mends it again; the Critic accepts."""
    wrong_test = "def test_free():\n    from parking import charge\n    assert charge(0) == 0\n"
    tester = [
        said(call("writeFile", path="tests/test_issue_0.py", content=wrong_test)),
        said(
            call(
                "finish",
                summary="one",
                failingTests=[*FAILING, "tests/test_issue_0.py::test_free"],
                reproduced=True,
            )
        ),
    ]
    coder = [
        said(edit(WRONG, "return minutes // MINUTES_PER_HOUR")),
        said(call("finish", summary="floor division")),
    ]
    first = [
        said(edit("return minutes // MINUTES_PER_HOUR", "return (minutes + 59) // 60")),
        said(call("finish", summary="rounded up")),
    ]
    second = [
        said(edit("return (minutes + 59) // 60", RIGHT)),
        said(call("finish", summary="with the constant")),
    ]
    turns = {
        "tester": tester,
        "coder": coder,
        "n0.0/debugger/0": first,
        "n0.0.0/debugger/0": second,
        "n0.0/critic/0": [said(review(False, "use MINUTES_PER_HOUR, not 60", 4))],
        "n0.0.0/critic/0": [said(review(True))],
    }
    done = swe_agent(
        *SOLVE,
        parking,
        "--model",
        script(**turns),
        "--json",
        "--output",
        tmp_path / "r",
    )
    assert done.code == 0, done.err
    assert RIGHT in done.json["patch"]
    assert "test_issue" not in done.json["patch"]
    found = events(tmp_path / "r", "reproduction")[0]
    assert found["targets"] == FAILING
    assert "passes on the base commit" in found["refused"][0]
    prompts = [
        e["content"]
        for e in events(tmp_path / "r", "message")
        if e["role"] == "user" and e["node"] == "n0.0.0"
    ]
    assert any("use MINUTES_PER_HOUR, not 60" in prompt for prompt in prompts)


def test_a_wrong_patch_is_not_claimed(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    wrong = [said(edit(WRONG, "return minutes // MINUTES_PER_HOUR")), said(call("finish", summary="done"))]
    gave_up = [said(call("finish", summary="no idea", gaveUp=True))]
    done = swe_agent(
        *SOLVE,
        parking,
        "--model",
        script(coder=wrong, debugger=gave_up),
        "--json",
        "--apply",
        "--output",
        tmp_path / "r",
    )
    assert done.code == 4
    assert done.json["verified"] is False
    assert done.json["broken"]
    assert "not verified" in done.json["status"]
    assert git(parking, "status", "--porcelain") == ""


def test_who_stands_by_a_patch_is_told_once(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    wrong = [said(edit(WRONG, "return minutes // MINUTES_PER_HOUR")), said(call("finish", summary="done"))]
    stands = [said(call("finish", summary="it is right"))]
    model = script(coder=wrong, debugger=stands)
    done = swe_agent(*SOLVE, parking, "--model", model, "--json", "--output", tmp_path / "r")
    assert done.code == 4
    calls = [e["agent"].partition(":")[0] for e in events(tmp_path / "r", "call")]
    assert calls.count("debugger") == 1
    assert done.json["broken"]


def test_tests_that_the_patch_changes_are_said(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    """A writer who bends the tests to a wrong product: on the screen, in the report, in the record."""
    test = "tests/test_tariff.py"
    bend = [edit("= 15", "= 10"), edit("charge(15) == 0", "charge(15) == 250", path=test)]
    wrong = [said(*bend), said(call("finish", summary="done"))]
    gave_up = [said(call("finish", summary="no idea", gaveUp=True))]
    model = script(coder=wrong, debugger=gave_up)
    done = swe_agent(*SOLVE, parking, "--model", model, "--json", "--output", tmp_path / "r")
    assert done.code == 4, done.err
    assert done.json["changed_tests"] == [test]
    assert f"{test}::test_first_quarter_is_free" in done.json["contradicted"]
    assert f"test changed:  {test}" in done.err
    assert "contradicted:" in done.err
    shown = swe_agent("runs", "show", tmp_path / "r")
    assert f"changed tests: {test}" in shown.out
    assert events(tmp_path / "r", "outcome")[-1]["tests"]["changed"] == [test]


def test_no_patch(swe_agent: Run, parking: Path, script: Callable[..., str]) -> None:
    gave_up = [said(call("finish", summary="it cannot be done", gaveUp=True))]
    done = swe_agent(*SOLVE, parking, "--model", script(coder=gave_up), "--json")
    assert done.code == 3
    assert "it cannot be done" in done.json["status"]


def test_mistakes_are_told_to_the_model(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    coder = [
        said({"name": "editFile", "arguments": '{"path": "parking/tariff.py", '}),
        said(call("writeFlie", path="x", content="y")),
        said(call("fileMap", path="parking")),
        {"content": "I think it is solved."},
        said(call("finish", summary="done")),
        *CODER,
    ]
    done = swe_agent(
        *SOLVE,
        parking,
        "--model",
        script(coder=coder),
        "--json",
        "--output",
        tmp_path / "r",
    )
    assert done.code == 0, done.err
    texts = [e["text"] for e in events(tmp_path / "r", "tool") if not e["ok"]]
    assert any("not a JSON object" in text for text in texts)
    assert any("did you mean writeFile" in text for text in texts)
    assert any("no change yet" in text for text in texts)
    assert [e["reason"] for e in events(tmp_path / "r", "nudge")] == ["nudge_no_tool"]


def test_budget_keeps_the_best_patch(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    coder = [said(edit(WRONG, "return minutes // MINUTES_PER_HOUR")), *[said(call("runTests"))] * 9]
    done = swe_agent(
        *SOLVE,
        parking,
        "--model",
        script(coder=coder),
        "--json",
        "--budget-steps",
        5,
        "--output",
        tmp_path / "r",
    )
    assert done.code == 5, done.err
    assert "MINUTES_PER_HOUR" in done.json["patch"]
    assert "limit" in done.json["status"]
