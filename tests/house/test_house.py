"""The house: rooms, directions, packaging."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import measures

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
    """Imports inside functions included: lateness hides a circle, it does not open it."""
    assert measures.circles() == []


def test_no_class_name_means_two_things_on_one_storey() -> None:
    """Rooms of one storey meet in one head: each noun is defined once there, the narrower one under its own term."""
    assert measures.repeated_classes() == {}


def test_mappings_say_what_they_hold() -> None:
    """`dict[str, Any]` is for what only a foreign schema or validator knows; four in a thousand lines are enough."""
    assert 1000 * measures.untyped() / measures.lines() < 4


FORBIDDEN = {
    "orchestrator.solving": {"orchestrator.grading", "orchestrator.cli", "orchestrator.batch"},
    "orchestrator.batch": {"orchestrator.cli"},
    "orchestrator.search": {"orchestrator.solving", "orchestrator.grading", "orchestrator.benchmarks"},
    "orchestrator.record": {"orchestrator.solving", "orchestrator.grading", "orchestrator.training"},
    "orchestrator.benchmarks": {"orchestrator.grading", "orchestrator.cli"},
    "orchestrator.serving": {"orchestrator.cli", "orchestrator.grading"},
    "orchestrator.ci": {"orchestrator.cli", "orchestrator.grading"},
    "tools.sandbox": {"tools.toolbox", "tools.project"},
    "tools.testing": {"tools.toolbox"},
}
"""Folder → folders of its own storey that it must not know."""


def test_folders_know_only_what_they_may() -> None:
    wrong = [
        f"{module.name} imports {target}"
        for module in measures.modules().values()
        for target, _ in module.imports()
        if any(target.startswith(f"{room}.") for room in FORBIDDEN.get(module.room, ()))
    ]
    assert wrong == []


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
