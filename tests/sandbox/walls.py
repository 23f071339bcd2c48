"""A walled sandbox under attack: one that is opened once, and a fork of it for each attempt."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lacking import no_walls

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.sandbox import Limits, Sandbox, SandboxSpec, open_sandbox

LIMITS = Limits(
    wall_s=60,
    memory_bytes=512 << 20,
    processes=64,
    cpu_s=60,
    file_bytes=64 << 20,
    open_files=256,
    disk_bytes=128 << 20,
    output_bytes=64 << 10,
)
SECRET = "the-hosts-own-secret"


@pytest.fixture(scope="module", params=["namespace", pytest.param("docker", marks=pytest.mark.docker)])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("walls")
    source = folder / "source"
    source.mkdir()
    (source / "file.txt").write_text("inside\n")
    image = request.getfixturevalue("docker_image") if request.param == "docker" else None
    interpreter = Path(sys.base_prefix)
    shown = () if image or interpreter.is_relative_to("/usr") else (interpreter,)
    spec = SandboxSpec(source, folder / "scratch", read_only=shown, limits=LIMITS, image=image)
    os.environ["HOST_SECRET"] = SECRET
    try:
        opened = open_sandbox(request.param, spec)
    except SandboxError as error:
        if request.param == "namespace" and (why := no_walls()):
            pytest.skip(why)
        raise error
    finally:
        del os.environ["HOST_SECRET"]
    with opened:
        yield opened


@pytest.fixture
def box(base: Sandbox) -> Iterator[Sandbox]:
    """A fork to attack. Whatever happened, its next command must work and its siblings be untouched."""
    with base.fork() as child:
        yield child
        assert child.exec("cat file.txt", timeout=30).output == "inside\n"
    assert base.exec("cat file.txt").output == "inside\n"


def python(box: Sandbox, code: str, *, timeout: float = 60) -> tuple[int, str]:
    """Run Python code in the sandbox; its exit code and output."""
    interpreter = "python3"
    if box.kind == "namespace":
        interpreter = str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))
    done = box.exec([interpreter, "-I", "-S", "-c", code], timeout=timeout)
    return done.exit_code, done.output
