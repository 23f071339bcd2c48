"""The house: rooms, directions, packaging."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "orchestrator": {"agents", "tools", "prompts", "examples"},
    "agents": {"tools", "prompts"},
    "tools": set(),
    "prompts": set(),
    "examples": set(),
}


def modules() -> Iterator[tuple[str, Path]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "repo" not in path.parts:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                yield name, path


def imports(name: str, path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Modules of this package that a module imports, dotted from the root."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                yield ".".join([*base, *(node.module or "").split(".")]).strip("."), node
            elif (node.module or "").startswith("swe_agent"):
                yield (node.module or "").removeprefix("swe_agent").strip("."), node
            elif node.module:
                yield f"<{node.module}>", node
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield f"<{alias.name}>", node


def test_rooms_know_only_what_lies_below() -> None:
    wrong = []
    for name, path in modules():
        room = name.split(".")[0]
        for target, node in imports(name, path):
            other = target.split(".")[0]
            if not target.startswith("<") and other in ROOMS and other != room and other not in ROOMS[room]:
                wrong.append(f"{path}:{node.lineno} imports {target}")  # type: ignore[attr-defined]
    assert wrong == []


def test_autogen_stays_behind_agents() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, path in modules()
        for target, _ in imports(name, path)
        if target.startswith("<autogen") and not name.startswith("agents")
    ]
    assert wrong == []


def test_no_import_circle() -> None:
    """Circles between modules by imports at module level (those inside functions are late on purpose)."""
    known = dict(modules())
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found: set[str] = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                target = ".".join([*base, *((node.module or "").split("."))]).strip(".")
                for alias in node.names:
                    found.add(f"{target}.{alias.name}" if f"{target}.{alias.name}" in known else target)
        graph[name] = {target for target in found if target in known and target != name}
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import circle: {' -> '.join((*path, name))}"
        if name in state:
            return
        state[name] = 1
        for target in sorted(graph[name]):
            visit(target, (*path, name))
        state[name] = 2

    for name in graph:
        visit(name, ())


def test_every_package_folder_is_listed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {
        ".".join(["swe_agent", *path.parent.relative_to(ROOT).parts])
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "repo" not in path.parts
    }
    assert folders | {"swe_agent"} == listed


def test_no_module_beside_the_package() -> None:
    """Any other .py at the root would be shipped inside the package."""
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", ["agents", "tools", "orchestrator", "prompts", "examples"])
def test_rooms_cannot_be_imported_by_their_short_names(room: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "ModuleNotFoundError" in done.stderr


def test_files_stay_small() -> None:
    long = {name: count for name, path in modules() if (count := len(path.read_text().splitlines())) > 360}
    assert long == {}


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from swe_agent.orchestrator.cli.main import main; main(['--help']);"
        "print([m for m in ('litellm', 'openai', 'autogen_core', 'docker', 'rich', 'jinja2', 'pydantic', 'git')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_lock_names_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / name).read_text()
