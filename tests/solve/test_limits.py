"""Time, calls and bytes: what one answer of a model, or what it leaves behind, may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .conftest import Done, call, events, said

Run = Callable[..., Done]
ISSUE = "A stay that ends exactly on the hour is charged one hour too many."


def test_time_is_kept_between_the_calls_of_one_answer(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    slow = said(*[call("shell", command="sleep 15")] * 6)
    model = script(coder=[slow, said(call("finish", summary="done"))])
    flags = ("solve", "--text", ISSUE, "--repo", parking, "--model", model)
    swe_agent(*flags, "--timeout", "1", "--output", "warm")  # the environment is made once
    started = time.monotonic()
    done = swe_agent(*flags, "--timeout", "20", "--output", "r")
    took = time.monotonic() - started
    assert done.code == 5, done.err
    assert "--timeout" in done.err.splitlines()[-1] or "limit" in done.err
    assert took < 35, done.err
    said_last = [line["content"] for line in events(tmp_path / "r", "message") if line["role"] == "tool"][-1]
    assert "not carried out: the limit of wall seconds" in said_last


def test_an_answer_has_a_number_of_calls(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    many = said(*[call("readFile", path="parking/tariff.py")] * 10_000)
    model = script(coder=[many, said(call("finish", summary="none", gaveUp=True))])
    started = time.monotonic()
    done = swe_agent("solve", "--text", ISSUE, "--repo", parking, "--model", model, "--output", "r", "-q")
    assert done.code == 3, done.err
    assert time.monotonic() - started < 60
    tools = [line for line in events(tmp_path / "r", "tool") if line["name"] == "readFile"]
    assert len(tools) == 64
    told = [line["content"] for line in events(tmp_path / "r", "message") if line["role"] == "user"]
    assert any("at most 64 calls. Yours made 10000" in text for text in told)
    assert swe_agent("replay", tmp_path / "r").code == 0


def test_a_large_patch_is_not_printed_whole(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    model = script(
        coder=[
            said(call("shell", command="for i in 1 2 3; do seq 100000 > parking/table$i.txt; done")),
            said(call("finish", summary="a table")),
        ],
        debugger=[said(call("finish", summary="none", gaveUp=True))],
    )
    done = swe_agent("solve", "--text", ISSUE, "--repo", parking, "--model", model, "--output", "r")
    assert done.code == 4, done.err
    assert "more lines of the patch" in done.err
    assert len(done.err) < 200_000
    assert sum(path.stat().st_size for path in (tmp_path / "r").rglob("*") if path.is_file()) < 100 << 20


def test_nested_arguments_end_neither_a_run_nor_its_resumption(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    deep: dict[str, object] = {}
    for _ in range(300):
        deep = {"a": deep}
    odd = {"name": "shell", "arguments": {"command": deep}}
    half = call("writeFile", path="a\ud800.py", content="\udfff")
    model = script(coder=[said(odd, half), said(call("finish", summary="none", gaveUp=True))])
    done = swe_agent("solve", "--text", ISSUE, "--repo", parking, "--model", model, "--output", "r", "-q")
    assert done.code == 3, done.err
    log = tmp_path / "r" / "events.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines[: len(lines) // 2]) + "\n")
    (tmp_path / "r" / "run.json").write_text(
        (tmp_path / "r" / "run.json").read_text().replace('"finished": true', '"finished": false')
    )
    assert swe_agent("solve", "--resume", tmp_path / "r", "-q").code == 3
