"""What only containers have: images of both kinds, users, conda, and a daemon that fails."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import Sandbox, SandboxSpec, open_sandbox

pytestmark = pytest.mark.docker
Opener = Callable[..., Sandbox]


@pytest.fixture
def client(docker_engine: str) -> Any:
    import docker

    return docker.DockerClient(base_url=docker_engine)


@pytest.fixture
def build(client: Any, docker_image: str) -> Iterator[Callable[[str], str]]:
    """Builds an image from further lines of a Dockerfile on the test image."""
    built: list[str] = []

    def make(lines: str) -> str:
        file = io.BytesIO(f"FROM {docker_image}\n{lines}\n".encode())
        image, _ = client.images.build(fileobj=file, rm=True, network_mode="none")
        built.append(image.id)
        return image.id

    yield make
    for image in built:
        client.images.remove(image, force=True)


def test_the_images_own_tree_and_conda_environment_are_used(
    build: Callable[[str], str], opener: Opener
) -> None:
    image = build(
        "RUN git init -q /testbed && echo theirs > /testbed/file.txt && mkdir -p /opt/miniconda3/envs/testbed/bin"
        " && printf '#!/bin/sh\\necho conda-python\\n' > /opt/miniconda3/envs/testbed/bin/python"
        " && chmod +x /opt/miniconda3/envs/testbed/bin/python"
    )
    sandbox = opener("docker", image=image)
    with sandbox.fork() as child:
        assert (
            child.exec("cat file.txt; python; echo $CONDA_DEFAULT_ENV").output
            == "theirs\nconda-python\ntestbed\n"
        )
        assert (
            child.exec("git status --porcelain -- file.txt; echo new > new.txt; git add new.txt").output
            == "?? file.txt\n"
        )
        assert child.exec("id -u").output == "0\n", "the owner of the image's tree"
    with pytest.raises(FileNotFoundError):
        sandbox.read_bytes("new.txt")


def test_the_images_user_is_kept(build: Callable[[str], str], opener: Opener) -> None:
    sandbox = opener("docker", image=build("RUN useradd -u 4321 -m worker\nUSER worker"))
    assert sandbox.exec("id -u; touch made; stat -c %u made pkg").output == "4321\n4321\n4321\n"


def test_without_a_tree_commands_are_not_root(docker_image: str, opener: Opener) -> None:
    assert opener("docker").exec("id -u; cd ~ && pwd && touch x").output == "1000\n/home/agent\n"


def test_an_image_that_has_only_sh(build: Callable[[str], str], opener: Opener) -> None:
    image = build("RUN rm -f /bin/bash /usr/bin/bash /usr/bin/python3* /usr/bin/perl*")
    sandbox = opener("docker", image=image)
    sandbox.write_bytes("binary", bytes(range(256)) * 4000)
    with sandbox.fork() as child:
        assert child.read_bytes("binary") == bytes(range(256)) * 4000
        assert child.exec("echo $0; cat", stdin=b"in").output == "sh\nin"
        assert child.exec("sleep 20", timeout=0.5).timed_out


def test_a_missing_image_is_named(source: Path, tmp_path: Path, docker_engine: str) -> None:
    spec = SandboxSpec(source, tmp_path / "scratch", image="swe-agent-no-such-image:1")
    with pytest.raises(SandboxError, match=r"swe-agent-no-such-image:1.*[Nn]o such image"):
        open_sandbox("docker", spec)


def test_a_container_killed_from_outside_is_named(opener: Opener, client: Any) -> None:
    sandbox = opener("docker", label="killed-outside")
    for container in client.containers.list(filters={"label": "swe_agent.run=killed-outside"}):
        container.kill()
    with pytest.raises(SandboxError, match=r"container is gone: exited, exit code 137"):
        sandbox.exec("true")


def test_nothing_is_left_after_closing(opener: Opener, client: Any) -> None:
    label: dict[str, Any] = {"label": "swe_agent.run=left"}
    with opener("docker", label="left") as sandbox:
        sandbox.write_bytes("a", b"1")
        with sandbox.fork() as child:
            child.write_bytes("b", b"1")
            with child.fork() as grandchild:
                assert grandchild.exec("cat a b").output == "11"
        assert client.containers.list(filters=label)
    assert client.containers.list(all=True, filters=label) == []
    assert client.images.list(all=True, filters=label) == []
