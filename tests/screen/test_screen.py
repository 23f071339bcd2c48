"""What is on the screen while `solve` and `batch` run, read off a real terminal (tmux), and what is not where there
is none."""

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

from swe_agent.orchestrator.report.run_list import RunLine
from swe_agent.tools.files import read_below

COMMAND = [sys.executable, "-m", "swe_agent", "solve", "--example"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of environments for the batches."""
    return tmp_path_factory.mktemp("cache")


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


def screen_of(tmux: list[str], *, history: bool = False, codes: bool = False) -> str:
    flags = [*(["-S", "-", "-J"] if history else []), *(["-e"] if codes else [])]
    capture = [*tmux, "capture-pane", "-p", "-t", "run", *flags]
    return subprocess.run(capture, capture_output=True, text=True, check=True).stdout


def shots(
    tmux: list[str],
    line: str,
    environment: dict[str, str],
    size: tuple[int, int] = (80, 24),
    *,
    codes: bool = False,
) -> list[str]:
    """What stood on the terminal until `line` ended, five times a second, and last all that has scrolled by.
    `codes`: with the colours."""
    width, height = map(str, size)
    start = [*tmux, "new-session", "-d", "-s", "run", "-x", width, "-y", height]
    # TERM is what the terminal says, not what tmux was started with
    changed = "TERM=dumb " if environment.get("TERM") == "dumb" else ""
    subprocess.run([*start, f"{changed}{line}; echo ended with $?; sleep 300"], check=True, env=environment)
    seen = [""]
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and "ended with" not in seen[-1]:
        time.sleep(0.2)
        seen.append(screen_of(tmux))
    return [*seen, screen_of(tmux, history=True, codes=codes)]


BAR = re.compile(r"[━╸]+ +\d/1 +\$")
COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-7]|9[0-7])m")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_the_screen_says_what_is_done_now(
    size: tuple[int, int], tmux: list[str], environment: dict[str, str]
) -> None:
    seen = shots(tmux, shlex.join(COMMAND), environment, size)
    live = [shot for shot in seen[:-1] if re.search(r"^now   ", shot, re.MULTILINE)]
    assert live, seen[-1]
    for shot in live:
        rows = shot.rstrip("\n").splitlines()
        at = [number for number, row in enumerate(rows) if row.startswith("now   ")]
        assert len(at) == 1, "the lower part is drawn in place"
        assert all(re.match(r"last  |n\d+ +|$", row) for row in rows[at[0] + 1 :]), (
            "no row goes on in the next"
        )
    assert any(re.search(r"^\d\d:\d\d  \d+ model calls, ", shot, re.MULTILINE) for shot in live)
    assert any(re.search(r"^now   (tester|coder): ", shot, re.MULTILINE) for shot in live)
    assert any(re.search(r"^last  \w+: \w+ ok, ", shot, re.MULTILINE) for shot in live)
    end = seen[-1]
    assert "ended with 0" in end
    assert "now   " not in end
    next_ = re.search(r"^next: +(.*) apply (\S+) *$", end, re.MULTILINE)
    assert next_, "what the terminal wrapped is one line when it is pasted"
    assert Path(next_[2], "patch.diff").is_file()
    for words in ("baseline: 14 tests, 2 failing", "2 tests show the issue", "fixed:", "next:", "result:"):
        assert words in end


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_is_no_colour_for_the_whole_of_a_run(
    name: str, value: str, tmux: list[str], environment: dict[str, str]
) -> None:
    """Without colours the lower part is drawn all the same; a dumb terminal gets lines."""
    seen = shots(tmux, shlex.join(COMMAND), {**environment, name: value}, codes=True)
    assert "ended with 0" in seen[-1]
    assert not COLOUR.search(seen[-1])
    assert any("now   " in shot for shot in seen) == (name == "NO_COLOR")
    assert bool(re.search(r"^  coder +n\d+ proposeRepairs", seen[-1], re.MULTILINE)) == (name == "TERM")


SLOW = {
    "pytest": "import time, pytest\n\n\n@pytest.mark.parametrize('n', range(12))\ndef test_slow(n):\n    time.sleep(0.3)\n",
    "unittest": "import time, unittest\n\n\nclass Slow(unittest.TestCase):\n"
    + "".join(f"    def test_{n}(self):\n        time.sleep(0.3)\n" for n in range(12)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runner", "sandbox"),
    [
        ("pytest", "namespace"),
        ("unittest", "namespace"),
        pytest.param("pytest", "docker", marks=pytest.mark.docker),
    ],
)
def test_the_tests_that_run_are_counted(
    runner: str,
    sandbox: str,
    tmux: list[str],
    environment: dict[str, str],
    cache: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    place = tmp_path / "slow"
    place.mkdir()
    (place / "test_slow.py").write_text(SLOW[runner])
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "b"],
    ):
        subprocess.run(["git", *arguments], cwd=place, check=True)
    image: list[str] = []
    if sandbox == "docker":
        image = ["--image", request.getfixturevalue("docker_image")]
        environment |= {name: value for name, value in os.environ.items() if name == "DOCKER_HOST"}
    line = [sys.executable, "-m", "swe_agent", "solve", "--text", "it is slow", "-r", str(place), "--sandbox", sandbox,
            "--test-cmd", f"python3 -m {runner}", *image]  # fmt: skip
    seen = shots(tmux, shlex.join(line), {**environment, "SWE_AGENT_CACHE": str(cache)})
    counts = [
        int(n)
        for shot in seen
        for n in re.findall(r"^now   tests on the base commit, (\d+) of 12 tests", shot, re.M)
    ]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2, seen[-1]
    assert "ended with 3" in seen[-1]


@pytest.fixture
def batch(tmp_path: Path, cache: Path, environment: dict[str, str]) -> list[str]:
    """A batch of one instance."""
    data = write_dataset(tmp_path)
    environment["SWE_AGENT_CACHE"] = str(cache)
    return [sys.executable, "-m", "swe_agent", "batch", "--dataset", str(data), "--repo-mirror", str(tmp_path / "mirrors"),
            "--environment", "repository", "--test-cmd", "python3 -m unittest -v", "--instances", "acme__calc-0",
            "--output", str(tmp_path / "out")]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_a_batch_on_a_terminal(
    size: tuple[int, int], tmux: list[str], batch: list[str], environment: dict[str, str]
) -> None:
    seen = shots(tmux, shlex.join(batch), environment, size)
    assert any(BAR.search(shot) for shot in seen), seen[-1]
    assert all(len(BAR.findall(shot)) <= 1 for shot in seen[:-1]), "the table is drawn in place"
    assert any(re.search(r"^acme__calc-0 +\d+ s", shot, re.M) for shot in seen)
    assert "1 of 1 have a prediction (1 verified)" in seen[-1].replace("\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_batch_without_colours(
    name: str, value: str, tmux: list[str], batch: list[str], environment: dict[str, str]
) -> None:
    seen = shots(tmux, shlex.join(batch), {**environment, name: value}, (140, 40), codes=True)
    assert "ended with 0" in seen[-1]
    assert not COLOUR.search(seen[-1])
    assert "[1/1] acme__calc-0 verified" in seen[-1]
    assert any(BAR.search(shot) for shot in seen) == (name == "NO_COLOR")


@pytest.mark.slow
def test_a_batch_that_is_piped_is_plain_lines(batch: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(batch, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert "[1/1] acme__calc-0 verified" in done.stderr
    assert done.stdout == ""


def test_a_run_in_a_list_fits_a_narrow_terminal() -> None:
    name = "20260131T140500Z-a-stay-that-ends-exactly-on-the-hour-is-charged"
    line = RunLine(name, "p", "2026-01-31 14:05", "parking", "offline/repair", "verified", "s", 5.0, 0.0)
    assert line.shown().endswith(f" {name}")
    assert line.shown(200) == line.shown()
    above, below = line.shown(80).split("\n")
    assert above.endswith("parking  offline/repair")
    assert max(len(above), len(below)) <= 80
    assert below.strip() == name


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
