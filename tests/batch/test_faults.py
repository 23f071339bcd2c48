"""A batch under real faults: nothing that failed is a prediction, and after a resume the predictions are those
of a run in which nothing failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from batch.calc_batch import NAMES, Model, arguments, said, started, write_dataset
from servers.docker_engine import DockerEngine

pytestmark = pytest.mark.slow
WAIT_S = 120.0


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    yield model
    model.release()
    model.down()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_dataset(tmp_path)
    return tmp_path


def local(home: Path, model: Model, output: Path) -> list[str]:
    command = arguments(home, model, output)
    return [*command, "--environment", "repository", "--repo-mirror", str(home / "mirrors")]


def finish(command: list[str], home: Path, env: Mapping[str, str] = {}) -> int:
    with started(command, home, env) as process:
        return process.wait(WAIT_S)


def until(check: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not check():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def held(model: Model) -> None:
    assert model.reached.wait(WAIT_S), "the model was not asked a second time"


def predictions(output: Path) -> dict[str, Any]:
    path = output / "preds.json"
    return json.loads(path.read_text()) if path.exists() else {}


def fill(path: Path) -> None:
    """Write until the disk is full."""
    done = subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4k"], capture_output=True, text=True)
    assert "No space left" in done.stderr, done.stderr


def rows(output: Path) -> dict[str, Any]:
    return json.loads((output / "results.json").read_text())["instances"]


def assert_no_empty(output: Path) -> None:
    assert all(row["model_patch"] for row in predictions(output).values())


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The predictions of a batch in which nothing failed."""
    home, model = tmp_path_factory.mktemp("clean"), Model()
    write_dataset(home)
    assert finish(local(home, model, home / "out"), home) == 0, said(home)
    model.down()
    found = predictions(home / "out")
    assert sorted(found) == NAMES
    assert all(row["model_patch"] for row in found.values())
    return found


def test_an_endpoint_that_is_down_for_long_fails_no_model(
    home: Path, model: Model, clean: Mapping[str, Any]
) -> None:
    output = home / "out"
    command = [*local(home, model, output), "--retry-time", "1", "--retries", "0"]
    model.hold(NAMES[1])
    with started(command, home) as process:
        held(model)
        model.down()
        assert process.wait(WAIT_S) == 9, said(home)
    assert predictions(output).keys() == {NAMES[0]}
    assert {(rows(output)[name]["status"], rows(output)[name]["reason"]) for name in NAMES[1:]} == {
        ("infrastructure", "model")
    }
    assert "resume: swe-agent batch" in said(home)
    asked = len(model.asked)
    model.up()
    assert finish(command, home) == 0, said(home)
    assert "resume: 1 done, 2 infrastructure errors re-queued" in said(home)
    # what was answered before the endpoint went down is not asked again
    assert (NAMES[1], 0) not in model.asked[asked:]
    assert predictions(output) == clean


def test_a_search_that_lost_a_rollout_is_no_prediction(
    home: Path, model: Model, clean: Mapping[str, Any]
) -> None:
    output = home / "out"
    search = ["--search", "best-of-n", "--samples", "3", "--instances", NAMES[1]]
    command = [*local(home, model, output), *search, "--retry-time", "1", "--retries", "0"]
    model.wrong_at_first.add(NAMES[1])
    model.hold(NAMES[1], rollout=1)
    with started(command, home) as process:
        held(model)
        model.down()
        assert process.wait(WAIT_S) == 9, said(home)
    assert predictions(output) == {}
    assert (output / "instances" / NAMES[1] / "patch.diff").read_text()  # the first rollout's is kept
    model.up()
    assert finish(command, home) == 0, said(home)
    assert predictions(output) == {NAMES[1]: clean[NAMES[1]]}


def test_an_endpoint_that_comes_back_in_time_is_waited_for(
    home: Path, model: Model, clean: Mapping[str, Any]
) -> None:
    output = home / "out"
    command = [*local(home, model, output), "--retry-time", "120", "--workers", "3"]
    model.hold(NAMES[1])
    with started(command, home) as process:
        held(model)
        model.down()
        time.sleep(3)
        model.up()
        assert process.wait(WAIT_S) == 0, said(home)
    # What was in the middle of a call waited; what was just starting may have been queued again.
    assert rows(output)[NAMES[1]]["attempts"] == 1
    assert predictions(output) == clean


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk(home: Path, model: Model, clean: Mapping[str, Any]) -> None:
    output = home / "out"
    output.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(output)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        command = local(home, model, output)
        model.hold(NAMES[1])
        with started(command, home) as process:
            held(model)
            fill(output / "filler")
            model.release()
            assert process.wait(WAIT_S) == 9, said(home)
        assert "free some space and run the same command again" in said(home)
        assert "resume: swe-agent batch" in said(home)
        assert_no_empty(output)
        assert set(predictions(output)) <= {NAMES[0]}
        (output / "filler").unlink()
        assert finish(command, home) == 0, said(home)
        assert predictions(output) == clean
    finally:
        subprocess.run(["umount", "-l", str(output)], check=True)


def test_a_killed_worker(home: Path, model: Model, clean: Mapping[str, Any]) -> None:
    output = home / "out"
    command = local(home, model, output)
    model.hold(NAMES[1])
    with started(command, home) as process:
        held(model)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert children
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        until(lambda: "worker_lost" in said(home), "the loss to be noticed")
        model.release()
        assert process.wait(WAIT_S) == 0, said(home)
    assert {name: row["attempts"] for name, row in rows(output).items()} == {
        NAMES[0]: 1,
        NAMES[1]: 2,
        NAMES[2]: 1,
    }
    assert predictions(output) == clean


@pytest.mark.parametrize("number", [1, 2], ids=["once", "twice"])
def test_interrupts(number: int, home: Path, model: Model, clean: Mapping[str, Any]) -> None:
    output = home / "out"
    command = [*local(home, model, output), "--workers", "2"]
    model.hold(NAMES[1])
    with started(command, home) as process:
        held(model)
        process.send_signal(signal.SIGINT)
        if number == 2:
            until(lambda: "stopping" in said(home), "the first interrupt to be heard")
            process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130, said(home)
    assert "resume: swe-agent batch" in said(home)
    assert NAMES[1] not in predictions(output)
    assert_no_empty(output)
    asked = len(model.asked)
    model.release()
    assert finish(command, home) == 0, said(home)
    assert (NAMES[1], 0) not in model.asked[asked:]
    assert predictions(output) == clean


def test_a_killed_batch(home: Path, model: Model, clean: Mapping[str, Any]) -> None:
    output = home / "out"
    command = local(home, model, output)
    model.hold(NAMES[1])
    with started(command, home):
        held(model)
    model.release()
    asked = len(model.asked)
    assert finish(command, home) == 0, said(home)
    assert "resume: 1 done, 0 infrastructure errors re-queued, 1 continue at step 1, 1 new" in said(home)
    assert (NAMES[1], 0) not in model.asked[asked:]
    assert predictions(output) == clean
    (home / "other.jsonl").write_bytes((home / "data.jsonl").read_bytes())
    other = [str(home / "other.jsonl") if word == str(home / "data.jsonl") else word for word in command]
    assert finish(other, home) == 2
    assert "name another --output" in said(home)
    assert predictions(output) == clean


def test_the_time_limit_holds_for_the_baseline_too(home: Path, model: Model) -> None:
    output = home / "out"
    slow = ["--test-cmd", "sleep 300", "--timeout", "2s", "--instances", NAMES[0]]
    assert finish([*local(home, model, output), *slow], home) == 0, said(home)
    assert rows(output)[NAMES[0]]["reason"] == "limit"
    assert model.asked == []
    assert not (output / "instances" / NAMES[0] / "work/scratch").exists()


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_a_missing_image_and_a_stopped_engine(
    tmp_path: Path, model: Model, docker_engine: str, docker_image: str, clean: Mapping[str, Any]
) -> None:
    import docker

    missing = DockerEngine.missing()
    if missing is not None:
        pytest.skip(missing)
    write_dataset(tmp_path, image="calc:1")
    output = tmp_path / "out"
    command = [
        *arguments(tmp_path, model, output),
        "--environment",
        "image",
        "--pull",
        "never",
        "--retries",
        "0",
    ]
    with DockerEngine(tmp_path / "docker") as engine:
        env = {"DOCKER_HOST": engine.address}
        assert finish(command, tmp_path, env) == 9, said(tmp_path)
        assert predictions(output) == {}
        assert {(row["status"], row["reason"]) for row in rows(output).values()} == {
            ("infrastructure", "image")
        }

        build_image(docker.DockerClient(base_url=docker_engine), engine.address, docker_image, tmp_path)
        model.hold(NAMES[1])
        with started(command, tmp_path, env) as process:
            held(model)
            engine.stop()
            model.release()
            assert process.wait(WAIT_S) == 9, said(tmp_path)
        assert predictions(output).keys() == {NAMES[0]}
        assert {row["status"] for name, row in rows(output).items() if name != NAMES[0]} == {"infrastructure"}

        engine.start()
        assert finish(command, tmp_path, env) == 0, said(tmp_path)
        assert predictions(output) == clean


def build_image(source: Any, address: str, base: str, home: Path) -> None:
    """`calc:1` in the engine at `address`: the tests' image with the repository at /testbed."""
    import io
    import tarfile

    import docker

    target = docker.DockerClient(base_url=address, timeout=300)
    target.images.load(b"".join(source.images.get(base).save(named=True)))
    container = target.containers.create(base, command=["true"])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(home / "source", "testbed")
    container.put_archive("/", buffer.getvalue())
    container.commit(repository="calc", tag="1")
    container.remove()
    target.close()
    source.close()
