"""Fixtures for every area: a Docker engine and a small image that is built here, from Debian packages."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("swe-agent", deadline=None)  # a law holds on a slow machine too
settings.load_profile("swe-agent")

_IMAGE = "swe-agent-tests:1"
_PACKAGES = "git,python3,python3-pytest,ca-certificates,procps"
_CACHE = Path("/var/tmp/swe-agent-tests")


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
    with _data_root() as data:
        engine = DockerEngine(data)
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


@contextmanager
def _data_root() -> Iterator[Path]:
    """A data root that no other session has: two engines on one wait for each other until both give up."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    for number in count():
        with (_CACHE / f"engine-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield _CACHE / f"engine-{number}"
            return


@pytest.fixture(scope="session")
def docker_image(docker_engine: str) -> str:
    """Name of an image with python3, pytest and git, without any repository in it."""
    import docker
    from docker.errors import ImageNotFound

    client = docker.DockerClient(base_url=docker_engine, timeout=300)
    try:
        client.images.get(_IMAGE)
    except ImageNotFound:
        name, _, tag = _IMAGE.partition(":")
        client.api.import_image_from_file(str(_archive()), repository=name, tag=tag)
    return _IMAGE


@pytest.fixture
def debian_root(tmp_path: Path) -> Path:
    """The files of that image, unpacked: git and Python alone, for a chroot."""
    if os.geteuid() != 0:
        pytest.skip("entering a Debian root needs root")
    root = tmp_path / "debian"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", _archive()], check=True)
    return root


def _archive() -> Path:
    """The image's files, built once."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    archive = _CACHE / f"{_IMAGE.replace(':', '-')}.tar"
    with (_CACHE / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several sessions may want the image at once
        if not archive.exists():
            _build_image(archive)
    return archive


def _build_image(archive: Path) -> None:
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        pytest.skip(f"the image {_IMAGE} is missing, and building it needs debootstrap and root")
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
        packed = root.with_suffix(".tar")
        subprocess.run(["tar", "-C", root, "-cf", packed, "."], check=True)
        packed.rename(archive)
    finally:
        shutil.rmtree(root, ignore_errors=True)
