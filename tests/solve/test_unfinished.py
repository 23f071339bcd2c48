"""A run that did not finish, and what a sandbox tells of the run it belongs to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Done, call, events, said

Run = Callable[..., Done]


def test_replay_of_an_unfinished_run_is_one_line(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    model = script(coder=[said(call("finish", summary="none", gaveUp=True))])
    done = swe_agent("solve", "--text", "x", "--repo", parking, "--model", model, "--output", "r", "-q")
    assert done.code == 3, done.err
    summary = json.loads((tmp_path / "r/run.json").read_text())
    for damaged in ({"finished": False}, {"finished": True}, {"finished": True, "request": 3, "result": []}):
        kept = {key: value for key, value in summary.items() if key not in ("result", "finished")}
        (tmp_path / "r/run.json").write_text(json.dumps({**kept, **damaged}))
        done = swe_agent("replay", "r")
        assert done.code == 2, done.err
        assert len(done.err.strip().splitlines()) == 1, done.err
        assert "--resume" in done.err or "damaged" in done.err


@pytest.mark.parametrize("kind", ["namespace", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_sandbox_does_not_tell_which_instance_it_is(
    kind: str, swe_agent: Run, parking: Path, script: Callable[..., str], request: pytest.FixtureRequest
) -> None:
    flags = ["--sandbox", kind]
    if kind == "docker":
        flags += ["--image", request.getfixturevalue("docker_image")]
    look = (
        "cat /proc/self/mountinfo /proc/mounts /proc/self/environ /proc/self/cgroup /etc/hostname /proc/*/cmdline;"
        "ls -l /proc/self/fd /proc/self/cwd; ls -a . .git ~ /tmp /; cat .git/config; echo seen"
    )
    model = script(coder=[said(call("shell", command=look)), said(call("finish", summary="no", gaveUp=True))])
    run = parking.parent / "batch/acme__parking-4711"
    arguments = ("solve", "--text", "x", "--repo", parking, "--model", model, "--output", run, "-q", *flags)
    done = swe_agent(
        *arguments, env={name: value for name, value in os.environ.items() if name == "DOCKER_HOST"}
    )
    assert done.code == 3, done.err
    told = [line["content"] for line in events(run, "message") if line["role"] == "tool"]
    assert any("seen\n" in text and "/proc" in text for text in told)
    assert not any("4711" in text for text in told)
