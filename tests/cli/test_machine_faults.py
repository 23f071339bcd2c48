"""Faults of the machine: a full disk, folders that cannot be written, ^C before anything has begun, no walls."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swe_agent.examples import materialise

HERE = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "swe_agent"]
NAMESPACE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]

MOUNTS = {
    "full": 'mount -t tmpfs -o size=1m tmpfs "$0" && head -c 2m /dev/zero >"$0/fill" 2>/dev/null',
    "nearly full": 'mount -t tmpfs -o size=500k tmpfs "$0"',
    "read-only": 'mount -t tmpfs -o size=1m,ro tmpfs "$0"',
}
SOLVE = ["solve", "--example", "-q"]
FAULTS: list[tuple[str, str, list[str], int, str]] = [
    ("full", "STATE", SOLVE, 7, "free some space"),
    ("full", "CACHE", SOLVE, 7, "free some space"),
    ("full", "", [*SOLVE, "-o", "FOLDER/run"], 7, "free some space"),
    ("full", "CONFIG", ["config", "init"], 2, "cannot write FOLDER/swe-agent/config.toml"),
    ("full", "", ["report", "RUN", "--html", "FOLDER/r.html"], 2, "cannot write --html FOLDER/r.html"),
    ("full", "", ["export", "RUN", "--format", "sft", "--include-offline", "--out", "FOLDER/o"], 7, "FOLDER/o: free some"),
    ("full", "", ["replay", "RUN", "--output", "FOLDER/o"], 7, "free some space"),
    ("nearly full", "STATE", SOLVE, 7, "free some space"),
    ("nearly full", "CACHE", SOLVE, 7, "free some space"),
    ("read-only", "STATE", SOLVE, 2, "Read-only file system; name another --output"),
    ("read-only", "CACHE", SOLVE, 7, "XDG_CACHE_HOME"),
    ("read-only", "", [*SOLVE, "-o", "FOLDER/run"], 2, "name another --output"),
    ("read-only", "", [*SOLVE, "--patch", "FOLDER/p.diff"], 2, "--patch FOLDER/p.diff cannot be written"),
    ("read-only", "CONFIG", ["config", "init"], 2, "Read-only file system"),
    ("read-only", "", ["report", "RUN", "--html", "FOLDER/r.html"], 2, "Read-only file system"),
    ("read-only", "", ["export", "RUN", "--format", "sft", "--include-offline", "--out", "FOLDER/o"], 7, "name another folder"),
]  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with folders of its own."""
    root = tmp_path_factory.mktemp("places")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWE_AGENT_")}
    return {**kept, **{f"XDG_{name}_HOME": str(root / name) for name in ("STATE", "CACHE", "CONFIG")}}


@pytest.fixture(scope="module")
def run(places: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    subprocess.run([*COMMAND, *SOLVE, "-o", str(folder)], env=places, check=True)
    return folder


@pytest.mark.parametrize(
    ("fault", "place", "arguments", "code", "words"), FAULTS, ids=lambda value: str(value)[:40]
)
def test_a_disk_that_cannot_be_written_is_one_line(
    fault: str,
    place: str,
    arguments: list[str],
    code: int,
    words: str,
    places: dict[str, str],
    run: Path,
    tmp_path: Path,
) -> None:
    if subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]).returncode:
        pytest.skip("no file system can be mounted here")
    folder = tmp_path / "folder"
    folder.mkdir()
    if place:
        places = {**places, f"XDG_{place}_HOME": str(folder)}
    spoken = [word.replace("FOLDER", str(folder)).replace("RUN", str(run)) for word in arguments]
    after = 'shift; "$@"; code=$?; find "$0" -name "*.new" -o -name "*.part" >&2; exit $code'
    line = [*NAMESPACE, "bash", "-c", f"{MOUNTS[fault]}; {after}", str(folder), "-", *COMMAND, *spoken]
    done = subprocess.run(line, env=places, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert words.replace("FOLDER", str(folder)) in done.stderr
    assert done.stdout == ""


def test_output_that_nobody_takes(places: dict[str, str]) -> None:
    for where, code, lines in ((">/dev/full", 7, 1), ("| true", 0, 0)):
        line = f'set -o pipefail; "$@" {where}'
        done = subprocess.run(
            ["bash", "-c", line, "-", *COMMAND, "config", "show"], env=places, capture_output=True, text=True
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (code, lines), done.stderr


def test_interrupted_in_the_first_tenth_of_a_second(places: dict[str, str], tmp_path: Path) -> None:
    """The script that ./bootstrap leaves: whenever ^C comes, one line and 130."""
    loader = importlib.machinery.SourceFileLoader("bootstrap", str(HERE / "bootstrap"))
    spec = importlib.util.spec_from_loader("bootstrap", loader)
    assert spec is not None
    bootstrap = importlib.util.module_from_spec(spec)
    loader.exec_module(bootstrap)
    script = tmp_path / "swe-agent"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom swe_agent.orchestrator.cli.entry import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    bootstrap.hold_interrupts(script)
    places = {**places, "XDG_STATE_HOME": str(tmp_path / "state")}
    if "--block-signal" not in script.read_text():
        pytest.skip("this env cannot hold a signal back")
    for attempt in range(20):
        process = subprocess.Popen([str(script), *SOLVE], stderr=subprocess.PIPE, text=True, env=places)
        time.sleep(
            0.004 + attempt * 0.005
        )  # before it, env itself is not there yet and dies as every program does
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
        assert (process.returncode, told) == (130, "swe-agent: interrupted\n"), attempt
    assert not list((tmp_path / "state").glob("swe-agent/runs/*"))


def asked(line: list[str], answer: bytes, environment: dict[str, str]) -> tuple[int, str]:
    """The exit code and what was on the terminal, where `answer` was typed at the question."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(line[0], line, environment)
    shown, told = b"", False
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if b"[y/N]" in shown and not told:
            os.write(terminal, answer)
            told = True
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


def test_where_no_walls_can_be_a_person_is_asked_once(places: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    materialise(tmp_path / "repo")
    places = {name: value for name, value in places.items() if name != "CI"}
    places |= {"XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm"}
    solve = [*COMMAND, "solve", "--text", "x", "-r", str(tmp_path / "repo"), "--budget-steps", "1", "--test-cmd", "true"]  # fmt: skip
    no_more = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
    bare = ["unshare", "-rm", "bash", "-c", no_more, "-", *solve]
    if subprocess.run([*bare[:4], no_more, "-", "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    for answer, code in ((b"\n", 2), (b"n\n", 2), (b"\x03", 130)):
        found, shown = asked(bare, answer, places)
        assert found == code, shown
        assert "Without walls commands of the repository" in shown
        assert not list((tmp_path / "state").glob("swe-agent/runs/*")), "nothing was begun"
    found, shown = asked(bare, b"y\n", places)
    assert found not in (2, 130), shown
    found, shown = asked(bare, b"", places)
    assert found not in (2, 130)
    assert "[y/N]" not in shown, "a yes is kept"
