"""What users get wrong, and what is not text, not theirs or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ISSUE, RIGHT, SOLVE, WRONG, Done, git

Run = Callable[..., Done]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--text", "x", "--repo", "nowhere"], 2, "no such directory"),
        (["--text", "x", "--repo", "."], 2, "not a git repository"),
        (["--text", "x", "--repo", "PARKING", "--base", "deadbeef"], 2, "no commit deadbeef"),
        (["--text", "x", "--repo", "PARKING", "--model", "nosuch/model"], 6, "unknown provider"),
        (["--text", "x", "--repo", "PARKING", "--model", "openai/gpt-4o"], 6, "OPENAI_API_KEY"),
        (["--text", "x", "--repo", "PARKING", "--search", "deep"], 2, "--search"),
        (["--text", "  ", "--repo", "PARKING"], 2, "empty"),
        (["--text", "", "--repo", "PARKING"], 2, "empty"),
        (["--file", "BINARY", "--repo", "PARKING"], 2, "is not text"),
        (["--text", "x", "--repo", "BINARY"], 2, "not a directory"),
        (["--text", "x", "--repo", "PARKING", "--budget-usd", "nan"], 2, "--budget-usd"),
        (["--text", "x", "--repo", "PARKING", "--temperature", "inf"], 2, "--temperature"),
        (["--text", "x", "--repo", "PARKING", "--request-timeout", "0"], 2, "--request-timeout"),
        (["--text", "x", "--repo", "PARKING", "--timeout", "inf"], 2, "positive"),
        (["--text", "x", "--repo", "PARKING", "--image", "i", "--sandbox", "plain"], 2, "--sandbox docker"),
        (["--text", "x", "--repo", "PARKING", "--patch", "gone/p.diff"], 2, "there is no folder"),
        (["--text", "x", "--repo", "PARKING", "--patch", "PARKING"], 2, "is a directory"),
        (["--text", "x", "--repo", "PARKING", "--branch", "a..b"], 2, "not a valid branch name"),
        (["--text", "x", "--repo", "PARKING", "--branch", "taken"], 2, "exists already"),
        (["--text", "x", "--repo", "PARKING", "--open-pr"], 2, "--issue URL"),
        (["--text", "x", "--repo", "file:///gone", "--apply"], 2, "checkout of yours"),
        (["--text", "x", "--repo", "file:///gone"], 2, "no git repository"),
        (["--text", "x", "--repo", "PARKING", "--output", "PARKING"], 2, "not empty"),
        (["--repo", "PARKING"], 2, "--issue"),
        (["--text", "x", "--file", "y"], 2, "exclude each other"),
        (["--file", "gone.md"], 2, "cannot read"),
        (["--resume", "gone"], 2, "not a run"),
        (["--issue", "gibberish"], 8, "names no issue"),
        (["--text", "x", "--repo", "PARKING", "--timeout", "soon"], 2, "duration"),
    ],
)
def test_mistakes_of_the_user(
    swe_agent: Run, parking: Path, tmp_path: Path, flags: list[str], code: int, words: str
) -> None:
    """Found at once: one line, and nothing left behind."""
    (tmp_path / "binary").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    git(parking, "branch", "taken")
    places = {"PARKING": parking, "BINARY": tmp_path / "binary"}
    done = swe_agent("solve", *[places.get(flag, flag) for flag in flags], "-q")
    assert done.code == code, done.err
    lines = [line for line in done.err.splitlines() if line]
    assert len(lines) == 1
    assert words in lines[0]
    assert done.out == ""
    assert not [path for path in tmp_path.glob("state/swe-agent/runs/*") if not (path / "run.json").exists()]


@pytest.mark.parametrize(
    "data",
    [ISSUE.encode(), b"\xef\xbb\xbf" + ISSUE.encode(), ISSUE.encode("utf-16"), ISSUE.encode() + b"caf\xe9"],
)
def test_issues_in_odd_encodings(swe_agent: Run, parking: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "issue.md").write_bytes(data)
    done = swe_agent("solve", "--file", tmp_path / "issue.md", "--repo", parking, "--dry-run")
    assert done.code == 0, done.err
    assert "issue: charged-too-much: Charged too much\n" in done.out


def test_a_delivery_that_fails_keeps_the_patch(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    """Uncommitted work in the same lines: it is not overwritten, and what was found is not lost."""
    path = parking / "parking" / "tariff.py"
    mine = path.read_text().replace(WRONG, "return 7")
    path.write_text(mine)
    done = swe_agent(*SOLVE, parking, "--model", script(), "--apply", "--json", "--output", "r")
    assert done.code == 4, done.err
    assert done.json["exit_code"] == 4
    assert "does not apply" in done.json["delivery_error"]
    assert "does not apply" in done.err.splitlines()[-1]
    assert " apply " in done.err
    assert RIGHT in (tmp_path / "r" / "patch.diff").read_text()
    assert path.read_text() == mine


def test_apply_says_how_to_take_it_back(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    done = swe_agent(*SOLVE, parking, "--model", script(), "--apply", "--json", "--output", "r")
    assert done.json["applied_to"] == str(parking)
    assert f" apply {tmp_path / 'r'} --undo" in done.err
    assert git(parking, "status", "--porcelain") == " M parking/tariff.py\n"


def test_an_issue_cannot_steer_the_terminal(swe_agent: Run, parking: Path) -> None:
    evil = "slow \x1b]0;owned\x07\x1b[2J\u009b31mred"
    done = swe_agent("solve", "--text", evil, "--repo", parking, "--dry-run")
    assert done.code == 0, done.err
    assert not {"\x1b", "\x07", "\u009b"} & set(done.err + done.out)
