"""Who is called, what is handed on, and what a verdict says of the tests that were run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .conftest import FAILING, Done, events, git

Run = Callable[..., Done]
ISSUE = (
    "A stay that ends exactly on the hour is charged one hour too many: see hours_begun in parking/tariff.py"
)


def test_auto_calls_the_others_only_where_evidence_is_missing(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    zone = "def test_zone():\n    import time\n    assert time.localtime().tm_zone == 'PST'\n"
    (parking / "tests/test_net.py").write_text(zone)
    git(parking, "add", "-A")
    git(parking, "commit", "-qm", "more")
    flags = ("--repo", parking, "--roles", "auto", "--model", script(), "--json", "--output", tmp_path / "r")
    done = swe_agent("solve", "--text", ISSUE, *flags)
    assert done.code == 0, done.err
    assert {e["agent"].partition(":")[0] for e in events(tmp_path / "r", "call")} == {"coder"}
    assert set(events(tmp_path / "r", "reproduction")[0]["targets"]) == set(FAILING)
    assert done.json["unrelated"] == ["tests/test_net.py::test_zone: it depends on the machine (tm_zone)"]
    assert done.json["evidence"]["whole"]


def test_the_tester_hands_on_what_it_found(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    done = swe_agent(
        "solve", "--text", ISSUE, "--repo", parking, "--model", script(), "--json", "--output", tmp_path / "r"
    )
    assert done.code == 0, done.err
    texts = {
        e["agent"].partition(":")[0]: str(e["content"])
        for e in events(tmp_path / "r", "message")
        if not e["sampled"] and "A stay that ends" in str(e["content"])
    }
    assert "two tests fail" in texts["coder"]
    assert "ceiling division" in texts["critic"]
    told = [str(e["content"]) for e in events(tmp_path / "r", "message") if "tests in" in str(e["content"])]
    assert told
    assert all(text.count("E  ") <= 12 and str(tmp_path) not in text for text in told)
