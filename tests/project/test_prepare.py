"""Environments: built once, in a sandbox, and found again. Nothing here touches a network: the repository
brings its own build backend, and its tests need the standard library only."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from swe_agent.tools.errors import ProjectError, SandboxError
from swe_agent.tools.project.prepare import prepare_project, unpack_artefacts
from swe_agent.tools.project.spec import Project
from swe_agent.tools.sandbox import SandboxSpec, open_sandbox
from swe_agent.tools.testing.runner import TestRunner
from swe_agent.tools.workspace import Workspace

BACKEND = """
import os, zipfile
def _wheel(directory, editable):
    name = "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("demo.pth", os.path.join(os.getcwd(), "src") + "\\n")
        wheel.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n")
        wheel.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("demo-1.0.dist-info/RECORD", "")
    with open("src/demo/_version.py", "w") as file:
        file.write("VERSION = '1.0'\\n")
    return name
def build_editable(directory, config_settings=None, metadata_directory=None): return _wheel(directory, True)
def build_wheel(directory, config_settings=None, metadata_directory=None): return _wheel(directory, False)
def get_requires_for_build_editable(config_settings=None): return []
def get_requires_for_build_wheel(config_settings=None): return []
"""
FILES = {
    "pyproject.toml": (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "demo"\nversion = "1.0"\n'
    ),
    "backend.py": BACKEND,
    ".gitignore": "_version.py\n",
    "src/demo/__init__.py": "from ._version import VERSION\nVALUE = 1\n",
    "tests/__init__.py": "",
    "tests/test_demo.py": (
        "import unittest, demo\n"
        "class Demo(unittest.TestCase):\n"
        "    def test_value(self): self.assertEqual(demo.VALUE, 1)\n"
        "    def test_version(self): self.assertEqual(demo.VERSION, '1.0')\n"
    ),
}


def repository(root: Path, files: Mapping[str, str] = FILES) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("kind", ["plain", "namespace"])
def test_the_tests_of_a_fork_see_the_code_of_the_fork(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "repo"
    base = repository(source)
    before = sorted(p.name for p in source.rglob("*") if ".git" not in p.parts)
    try:
        project = prepare_project(source, cache=tmp_path / "cache", sandbox_kind=kind)
    except SandboxError as error:
        pytest.skip(f"no {kind} sandbox here: {error}")
    assert sorted(p.name for p in source.rglob("*") if ".git" not in p.parts) == before
    assert project.test_command.runner == "unittest"
    assert {i.what for i in project.inferences} >= {"python", "install", "tests"}
    assert project.artefacts is not None
    spec = SandboxSpec(source, tmp_path / "scratch", read_only=project.read_only, env=project.env)
    with open_sandbox(kind, spec) as sandbox:
        unpack_artefacts(sandbox, project)
        workspace = Workspace(sandbox, base, env=project.shell_environment(sandbox.root))
        assert workspace.diff().is_empty
        runner = TestRunner(project)
        assert len(runner.run(workspace).passing) == 2
        with workspace.fork() as fork, fork.fork() as deeper:
            deeper.write_text("src/demo/__init__.py", "from ._version import VERSION\nVALUE = 2\n")
            assert runner.run(deeper).failing == {"tests.test_demo.Demo.test_value"}
            assert deeper.exec('python -c "import demo; print(demo.VALUE)"').output == "2\n"
            assert not runner.run(fork).failing
            assert fork.exec('python -c "import demo; print(demo.VALUE)"').output == "1\n"


def test_an_environment_is_built_once_however_many_want_it(tmp_path: Path) -> None:
    repository(tmp_path / "repo")
    lines: list[str] = []
    projects: list[Project] = []

    def prepare() -> None:
        projects.append(prepare_project(tmp_path / "repo", cache=tmp_path / "cache", on_line=lines.append))

    threads = [threading.Thread(target=prepare) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({project.python for project in projects}) == 1
    assert sum(line.startswith("creating an environment") for line in lines) == 1
    said = len(lines)
    prepare()
    assert len(lines) == said
    (tmp_path / "repo/pyproject.toml").write_text(FILES["pyproject.toml"] + "# other\n")
    prepare()
    assert projects[-1].python != projects[0].python


def test_a_build_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    repository(tmp_path / "repo")
    first = prepare_project(tmp_path / "repo", cache=tmp_path / "cache")
    assert first.python is not None
    folder = first.python.parents[2]
    (folder / "ready.json").unlink()
    (folder / "venv" / "bin" / "python").unlink()
    again = prepare_project(tmp_path / "repo", cache=tmp_path / "cache")
    assert again.python == first.python
    assert again.python is not None
    assert again.python.exists()


def test_a_repository_that_cannot_be_installed_names_the_flag(tmp_path: Path) -> None:
    files = {**FILES, "backend.py": "raise RuntimeError('the backend is broken')\n"}
    repository(tmp_path / "repo", files)
    with pytest.raises(ProjectError, match="--setup") as caught:
        prepare_project(tmp_path / "repo", cache=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache" / "environments").glob("*/ready.json"))


REFUSES = """
def get_requires_for_build_editable(config_settings=None): return []
def build_editable(directory, config_settings=None, metadata_directory=None):
    raise SystemExit("error: Multiple top-level packages discovered in a flat-layout: ['demo', 'docs'].")
build_wheel = build_editable
"""


def test_several_packages_that_setuptools_refuses_are_imported_from_the_tree(tmp_path: Path) -> None:
    files = {
        **FILES,
        "backend.py": REFUSES,
        "demo/__init__.py": "VALUE, VERSION = 1, '1.0'\n",
        "docs/__init__.py": "",
    }
    del files["src/demo/__init__.py"]
    base = repository(tmp_path / "repo", files)
    project = prepare_project(tmp_path / "repo", cache=tmp_path / "cache")
    notes = [note for note in project.inferences if note.what == "not installed"]
    assert "flat-layout" in notes[0].why
    spec = SandboxSpec(tmp_path / "repo", tmp_path / "scratch", read_only=project.read_only, env=project.env)
    with open_sandbox("auto", spec) as sandbox:
        workspace = Workspace(sandbox, base, env=project.shell_environment(sandbox.root))
        assert len(TestRunner(project).run(workspace).passing) == 2


def test_projects_below_the_root_are_installed(tmp_path: Path) -> None:
    files = {f"one/{name}": text for name, text in FILES.items() if name != ".gitignore"}
    base = repository(tmp_path / "repo", {**files, ".gitignore": "_version.py\n"})
    command = "python -m unittest discover -s one/tests -t one"
    project = prepare_project(tmp_path / "repo", cache=tmp_path / "cache", test_cmd=command)
    spec = SandboxSpec(tmp_path / "repo", tmp_path / "scratch", read_only=project.read_only, env=project.env)
    with open_sandbox("auto", spec) as sandbox:
        unpack_artefacts(sandbox, project)
        workspace = Workspace(sandbox, base, env=project.shell_environment(sandbox.root))
        assert len(TestRunner(project).run(workspace).passing) == 2
    (tmp_path / "repo/one/pyproject.toml").write_text(FILES["pyproject.toml"] + "# other\n")
    again = prepare_project(tmp_path / "repo", cache=tmp_path / "cache", test_cmd=command)
    assert again.python != project.python


def test_setup_replaces_the_installation_and_its_files_are_kept(tmp_path: Path) -> None:
    base = repository(tmp_path / "repo", {"check.sh": "test -f built/x.txt\n", "a.txt": ""})
    project = prepare_project(
        tmp_path / "repo",
        cache=tmp_path / "cache",
        setup="mkdir built && echo 1 > built/x.txt",
        test_cmd="sh check.sh",
    )
    with open_sandbox(
        "auto", SandboxSpec(tmp_path / "repo", tmp_path / "scratch", env=project.env)
    ) as sandbox:
        runner = TestRunner(project)
        workspace = Workspace(sandbox, base)
        assert runner.run(workspace).failing == {"command"}
        unpack_artefacts(sandbox, project)
        assert runner.run(workspace).passing == {"command"}
        assert workspace.diff().is_empty
    with pytest.raises(ProjectError, match="--setup failed: no such luck"):
        prepare_project(
            tmp_path / "repo",
            cache=tmp_path / "cache",
            setup="echo no such luck; exit 1",
            test_cmd="sh check.sh",
        )
