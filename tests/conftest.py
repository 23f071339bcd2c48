"""Fixtures for every area: a Docker engine and a small image that is built here, from Debian packages."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_IMAGE = "swe-agent-tests:1"
_PACKAGES = "git,python3,python3-pytest,ca-certificates,procps"
_CACHE = Path("/var/tmp/swe-agent-tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Beside each other (`-n 2`) run whole files, whose fixtures are theirs, and all that needs the one engine."""
    for item in items:
        needs_engine = "docker_engine" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("engine" if needs_engine else item.path.name))


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[str]:
    """Address of a Docker engine: the running one where it is whole, else one that is started for this session."""
    pytest.importorskip("docker")
    from servers.docker_engine import DockerEngine, answers, lost_bridge

    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    missing = DockerEngine.missing()
    if answers(address) and (missing is not None or not lost_bridge(address)):
        yield address
        return
    if missing is not None:
        pytest.skip(f"no Docker engine answers, and {missing}")
    before = os.environ.get("DOCKER_HOST")
    engine = DockerEngine(_CACHE / "docker")
    try:
        engine.start()
    except RuntimeError as error:
        pytest.skip(str(error))
    try:
        os.environ["DOCKER_HOST"] = engine.address
        yield engine.address
    finally:
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        engine.__exit__(None, None, None)


@pytest.fixture(scope="session")
def docker_image(docker_engine: str) -> str:
    """Name of an image with python3, pytest and git, without any repository in it."""
    import docker
    from docker.errors import ImageNotFound

    client = docker.DockerClient(base_url=docker_engine)
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several sessions may want the image at once
        try:
            client.images.get(_IMAGE)
        except ImageNotFound:
            if shutil.which("debootstrap") is None or os.geteuid() != 0:
                pytest.skip(f"the image {_IMAGE} is missing, and building it needs debootstrap and root")
            _build_image(docker_engine)
    return _IMAGE


def _build_image(address: str) -> None:
    import docker

    root = Path(tempfile.mkdtemp(prefix="image-", dir=_CACHE))
    try:
        unpack = ["debootstrap", "--foreign", "--variant=minbase", f"--include={_PACKAGES}", "stable", root]
        configure = ["chroot", root, "/debootstrap/debootstrap", "--second-stage"]
        for command in (unpack, configure):
            built = subprocess.run(command, capture_output=True, text=True)
            if built.returncode != 0:
                pytest.skip(f"debootstrap cannot build an image here: {built.stdout.strip()[-300:]}")
            options = root / "etc/dpkg/dpkg.cfg.d"
            options.mkdir(parents=True, exist_ok=True)
            (options / "fast").write_text("force-unsafe-io\n")  # no fsync for each file
        shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
        archive = root.with_suffix(".tar")
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        name, _, tag = _IMAGE.partition(":")
        docker.DockerClient(base_url=address, timeout=300).api.import_image_from_file(
            str(archive), repository=name, tag=tag
        )
        archive.unlink()
    finally:
        shutil.rmtree(root, ignore_errors=True)
