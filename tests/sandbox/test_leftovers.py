"""What a killed owner leaves behind is found, and removed completely; what lives is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swe_agent.tools.sandbox import Sandbox
from swe_agent.tools.sandbox.leftovers import Leftover, find_leftovers, remove_leftovers

Opener = Callable[..., Sandbox]

_OWNER = """
import sys, time, threading
from pathlib import Path
from typing import Any
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
kind, source, scratch, image, count = sys.argv[1:]
spec = SandboxSpec(Path(source), Path(scratch), image=image or None, label="killed-run")
trunk = open_sandbox(kind, spec)
kept = [trunk]
for number in range(int(count)):
    child = trunk.fork()
    child.write_bytes("n", b"1")
    kept.append(child)
    if number % 2:
        trunk = child
    else:  # a leaf, in the middle of a command
        threading.Thread(target=child.exec, args=("sleep 3217",), daemon=True).start()
    print(number, flush=True)
time.sleep(600)
"""


def _sleepers() -> int:
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                count += b"sleep\x003217\0" in (entry / "cmdline").read_bytes()
            except OSError:
                continue
    return count


@pytest.mark.parametrize("at", [3, 10, 20])
def test_nothing_is_left_of_a_namespace_owner_killed_among_its_forks(
    at: int, source: Path, tmp_path: Path, opener: Opener
) -> None:
    opener("namespace").close()  # skips where this kind cannot run
    scratch = tmp_path / "runs" / "run-1"
    _kill_owner("namespace", source, scratch, "", forks=20, at=at)
    deadline = time.monotonic() + 10
    while _sleepers() and time.monotonic() < deadline:
        time.sleep(0.05)
    found = find_leftovers(tmp_path / "runs")
    assert {item.kind for item in found} >= {"directory"}
    assert {item.label for item in found if item.kind == "directory"} == {"killed-run"}
    remove_leftovers(found)
    assert find_leftovers(tmp_path / "runs") == []
    assert list(scratch.iterdir()) == []
    assert _sleepers() == 0
    assert str(scratch) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.docker
def test_nothing_is_left_of_a_docker_owner_killed_among_its_forks(
    source: Path, tmp_path: Path, docker_engine: str, docker_image: str
) -> None:
    import docker

    _kill_owner("docker", source, tmp_path / "runs", docker_image, forks=3, at=2)
    client = docker.DockerClient(base_url=docker_engine)
    label: dict[str, Any] = {"label": "swe_agent.run=killed-run"}
    assert client.containers.list(all=True, filters=label)
    (tmp_path / "runs").mkdir(exist_ok=True)
    for _ in range(2):  # a container that was just being created appears a moment later
        remove_leftovers(find_leftovers(tmp_path / "runs"))
        time.sleep(1)
    assert client.containers.list(all=True, filters=label) == []
    assert client.images.list(all=True, filters=label) == []
    assert _sleepers() == 0


def test_nothing_is_left_of_a_plain_owner(source: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "runs"
    _kill_owner("plain", source, scratch, "", forks=2, at=1)
    remove_leftovers(find_leftovers(scratch))
    assert list(scratch.iterdir()) == []
    assert _sleepers() == 0


def test_what_lives_is_left_alone(kind: str, opener: Opener, tmp_path: Path) -> None:
    sandbox = opener(kind)
    remove_leftovers(find_leftovers(tmp_path / "scratch"))
    assert sandbox.exec("cat untracked.txt").output == "untracked\n"


def test_a_folder_with_a_broken_mark_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    (tmp_path / "sandbox-x").mkdir()
    (tmp_path / "sandbox-x" / "owner.json").write_text("{")
    assert [item for item in find_leftovers(tmp_path) if item.kind == "directory"] == []


def test_the_owner_of_a_reused_pid_is_dead(tmp_path: Path) -> None:
    from swe_agent.tools.sandbox.ownership import mark_owner

    folder = tmp_path / "sandbox-x"
    folder.mkdir()
    mark_owner(folder, kind="plain", label="r")
    mark = folder / "owner.json"
    mark.write_text(mark.read_text().replace('"start": ', '"start": 1'))
    assert Leftover("directory", str(folder), "r") in find_leftovers(tmp_path)


def _kill_owner(kind: str, source: Path, scratch: Path, image: str, *, forks: int, at: int) -> None:
    """Run an owner and kill it without warning as soon as `at` of its forks stand."""
    command = [sys.executable, "-c", _OWNER, kind, str(source), str(scratch), image, str(forks)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    for line in owner.stdout:
        if int(line) >= at - 1:
            break
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
