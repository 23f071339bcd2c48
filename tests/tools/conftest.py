"""A small repository in a sandbox, with a toolbox on it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lacking import no_walls

from swe_agent.tools.errors import SandboxError
from swe_agent.tools.history import prepare_repository
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.toolbox.tool import ToolResult
from swe_agent.tools.toolbox.toolbox import NAMES, Toolbox
from swe_agent.tools.workspace import Workspace

FILES: Mapping[str, bytes] = {
    "pkg/__init__.py": b"",
    "pkg/shapes.py": (
        b'"""Shapes."""\n\nSIDES = 4\n\n\nclass Square:\n    """A square."""\n\n'
        b"    def __init__(self, side: float) -> None:\n        self.side = side\n\n"
        b"    def area(self, scale: int = 1) -> float:\n        return self.side * 2 * scale\n\n\n"
        b"def area(shape):\n    return shape.area()\n"
    ),
    "pkg/use.py": b"from pkg.shapes import Square, area\n\nprint(area(Square(2)))\n",
    "tests/test_shapes.py": b"from pkg.shapes import Square\n\n\ndef test_area():\n    assert Square(3).area() == 9\n",
    "docs/guide.md": b"# Guide\n\nCall area on a Square.\n\n## More\n",
    "config.json": b'{"a": 1,\n "b": [1, 2]}\n',
    "setup.toml": b'[a]\nb = "c"\n',
    "crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    "no_newline.txt": b"one\ntwo",
    "bom.py": b"\xef\xbb\xbfx = 1\n",
    "latin.py": b"# -*- coding: latin-1 -*-\nname = 'caf\xe9'\n",
    "latin.txt": b"caf\xe9 ol\xe9\n",
    "picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\r",
    "broken.py": b"def f(:\n    pass\n",
    "a b/with space.txt": b"hello\n",
    ".gitignore": b"*.log\n",
    "run.sh": b"#!/bin/sh\necho hi\n",
    "empty.txt": b"",
}


class Bench:
    """One toolbox and short ways to call it."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox
        self.workspace = toolbox.workspace

    def __call__(self, name: str, /, **arguments: Any) -> ToolResult:
        return self.toolbox.call(name, arguments)

    def ok(self, name: str, /, **arguments: Any) -> str:
        result = self(name, **arguments)
        assert result.ok, result.text
        return result.text

    def refused(self, name: str, /, **arguments: Any) -> str:
        result = self(name, **arguments)
        assert not result.ok, result.text
        assert "Traceback" not in result.text
        return result.text

    def bytes(self, path: str) -> bytes:
        return self.workspace.sandbox.read_bytes(path)


Maker = Callable[..., Bench]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    origin = folder / "origin"
    for name, data in FILES.items():
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_bytes(data)
    (origin / "run.sh").chmod(0o755)
    (origin / "link.txt").symlink_to("docs/guide.md")
    (origin / "out").symlink_to("/etc")
    (origin / "dangling").symlink_to("nowhere")
    git = [
        "git",
        "-C",
        str(origin),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "-c",
        "core.autocrlf=false",
    ]
    subprocess.run(["git", "init", "-q", str(origin)], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    prepare_repository(origin, None, folder / "source")
    return folder / "source"


@pytest.fixture
def make(source: Path, tmp_path: Path) -> Iterator[Maker]:
    """Makes a bench: `make(kind="plain", allowed=NAMES, runner=None, **of Toolbox)`."""
    with ExitStack() as stack:

        def bench(
            kind: str = "plain", runner: Any = None, env: Mapping[str, str] | None = None, **options: Any
        ) -> Bench:
            spec = SandboxSpec(source=source, scratch=tmp_path / "scratch", env=env or {})
            try:
                sandbox = open_sandbox(kind, spec)
            except SandboxError:
                if kind == "namespace" and (why := no_walls()):
                    pytest.skip(why)
                raise
            head = sandbox.exec(["git", "rev-parse", "HEAD"]).output.strip()
            workspace = stack.enter_context(Workspace(sandbox, head))
            options.setdefault("allowed", NAMES)
            return Bench(Toolbox(workspace, runner, log_dir=tmp_path / "logs", **options))

        yield bench


@pytest.fixture(params=["plain", "namespace"])
def tools(request: pytest.FixtureRequest, make: Maker) -> Bench:
    """A bench with every tool, on each sandbox that needs no engine."""
    return make(request.param)
