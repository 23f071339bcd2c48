"""What is on the screen while `solve` runs, read off a real terminal (tmux), and what is not where there is none."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch.calc_batch import write_dataset

from swe_agent.tools.files import read_below

COMMAND = [sys.executable, "-m", "swe_agent", "solve", "--example"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "TMUX")}
    places = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "STATE")}
    return {**kept, **places, "TERM": "xterm-256color"}


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[list[str]]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    command = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    yield command
    subprocess.run([*command, "kill-server"], capture_output=True)


def screen_of(tmux: list[str], *, history: bool = False) -> str:
    capture = [*tmux, "capture-pane", "-p", "-t", "run", *(["-S", "-"] if history else [])]
    return subprocess.run(capture, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (140, 40)])
def test_the_screen_says_what_is_done_now(
    columns: int, rows: int, tmux: list[str], environment: dict[str, str]
) -> None:
    line = f"{' '.join(COMMAND)}; echo ended with $?; sleep 300"
    start = [*tmux, "new-session", "-d", "-s", "run", "-x", str(columns), "-y", str(rows), line]
    subprocess.run(start, check=True, env=environment)
    seen: list[str] = []
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (seen and "ended with" in seen[-1]):
        seen.append(screen_of(tmux))
        time.sleep(0.2)
    live = [shot for shot in seen if re.search(r"^now   ", shot, re.MULTILINE)]
    assert live, seen[-1]
    assert any(re.search(r"^\d\d:\d\d  \d+ model calls, ", shot, re.MULTILINE) for shot in live)
    assert any(re.search(r"^now   (tester|coder): ", shot, re.MULTILINE) for shot in live)
    assert any(re.search(r"^last  \w+: \w+ ok, ", shot, re.MULTILINE) for shot in live)
    assert not any(shot.count("now   ") > 1 for shot in live), "the lower part is drawn in place"
    end = screen_of(tmux, history=True)
    assert "ended with 0" in end
    assert "now   " not in end
    for words in ("baseline: 14 tests, 2 failing", "2 tests show the issue", "fixed:", "next:", "result:"):
        assert words in end


def shots(tmux: list[str], line: str, environment: dict[str, str]) -> list[str]:
    """What stood on an 80 x 24 terminal until `line` ended, five times a second."""
    start = [
        *tmux,
        "new-session",
        "-d",
        "-s",
        "run",
        "-x",
        "80",
        "-y",
        "24",
        f"{line}; echo ended with $?; sleep 300",
    ]
    subprocess.run(start, check=True, env=environment)
    seen = [""]
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and "ended with" not in seen[-1]:
        time.sleep(0.2)
        seen.append(screen_of(tmux))
    return seen


@pytest.mark.slow
def test_the_tests_that_run_are_counted(tmux: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "slow"
    place.mkdir()
    (place / "test_slow.py").write_text(
        "import time, pytest\n\n\n@pytest.mark.parametrize('n', range(12))\ndef test_slow(n):\n    time.sleep(0.3)\n"
    )
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "b"],
    ):
        subprocess.run(["git", *arguments], cwd=place, check=True)
    line = f"{sys.executable} -m swe_agent solve --text 'it is slow' -r {place} --sandbox namespace"
    seen = shots(tmux, line, {**environment, "SWE_AGENT_CACHE": str(tmp_path / "cache")})
    counts = [
        int(n)
        for shot in seen
        for n in re.findall(r"^now   tests on the base commit, (\d+) of 12 tests", shot, re.M)
    ]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2, seen[-1]
    assert "ended with 3" in seen[-1]


@pytest.mark.slow
def test_a_batch_on_a_terminal_and_where_there_is_none(
    tmux: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    data = write_dataset(tmp_path)
    environment["SWE_AGENT_CACHE"] = str(tmp_path / "cache")
    line = [sys.executable, "-m", "swe_agent", "batch", "--dataset", str(data), "--repo-mirror", str(tmp_path / "mirrors"),
            "--environment", "repository", "--test-cmd", "python3 -m unittest -v", "--instances", "acme__calc-0", "--output"]  # fmt: skip
    seen = shots(tmux, shlex.join([*line, str(tmp_path / "live")]), environment)
    assert any(re.search(r"[━╸]+ +\d/1 +\$", shot) for shot in seen), seen[-1]
    assert any(re.search(r"^acme__calc-0 +\d+ s", shot, re.M) for shot in seen)
    assert "1 of 1 have a prediction (1 verified)" in seen[-1].replace("\n", "")
    plain = {**environment, "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [*line, str(tmp_path / "plain")], capture_output=True, text=True, env=plain, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert "[1/1] acme__calc-0 verified" in done.stderr
    assert done.stdout == ""


def test_a_look_into_a_sandbox_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "inside/folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (tmp_path / "inside/folder/file").write_text("seen")
    (tmp_path / "inside/link").symlink_to(tmp_path)
    (tmp_path / "inside/folder/secret").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "inside/folder/pipe")
    assert read_below(tmp_path / "inside", "folder/file", 3) == b"see"
    for path in ("link/secret", "folder/secret", "folder/pipe", "folder", "gone/file", "../secret"):
        assert read_below(tmp_path / "inside", path, 10) is None, path


@pytest.mark.slow
def test_piped_output_is_plain_lines(environment: dict[str, str]) -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert re.search(r"^  coder +n\d+ proposeRepairs", done.stderr, re.MULTILINE)
    assert "baseline: 14 tests, 2 failing" in done.stderr


@pytest.mark.parametrize(
    ("change", "colours"),
    [({}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False), ({"CI": "true"}, False)],
)
def test_colours_only_where_they_are_wanted(
    change: dict[str, str], colours: bool, environment: dict[str, str]
) -> None:
    reader, writer = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "--dry-run"], stdout=subprocess.DEVNULL, stderr=writer, env={**environment, **change}
    )
    os.close(writer)
    written = os.read(reader, 65536)
    os.close(reader)
    assert done.returncode == 0
    assert b"issue a-stay-that-ends" in written
    codes = re.findall(rb"\x1b\[[0-9;]*m", written)
    wanted = [code for code in codes if re.search(rb"3\d", code)] if change.get("NO_COLOR") else codes
    assert bool(wanted) == colours, written
