"""What a prediction newly requires, read from its diff without running the build files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from swe_agent.orchestrator.grading.declared import new_requirements

TOML = '[project]\nname = "x"\nversion = "1"\ndependencies = [\n  "attrs>=20",\n{more}]\n'
CFG = "[options]\ninstall_requires =\n    attrs>=20\n{more}\n[options.extras_require]\ntest =\n    pytest\n"
PY = "from setuptools import setup\nsetup(name='x', install_requires=['attrs>=20', {more}])\n"


def diff(repository: Path, path: str, before: str, after: str) -> str:
    """Commit `before`, and return the diff to `after` with the tree back at the commit."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(repository)]
    subprocess.run([*git, "init", "-q"], check=True)
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text(before)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    (repository / path).write_text(after)
    text = subprocess.run([*git, "diff"], check=True, capture_output=True, text=True).stdout
    (repository / path).write_text(before)
    return text


@pytest.mark.parametrize(
    ("path", "template", "more"),
    [
        ("pyproject.toml", TOML, '  "appdirs>=1.4",\n'),
        ("setup.cfg", CFG, "    appdirs>=1.4"),
        ("setup.py", PY, "'appdirs>=1.4'"),
    ],
)
def test_a_new_dependency(path: str, template: str, more: str, tmp_path: Path) -> None:
    patch = diff(tmp_path, path, template.format(more=""), template.format(more=more))
    assert new_requirements(tmp_path, patch) == ["appdirs>=1.4"]


def test_only_the_extras_that_are_installed(tmp_path: Path) -> None:
    before = CFG.format(more="")
    patch = diff(tmp_path, "setup.cfg", before, f"{before}    html5lib\ndocs =\n    sphinx\n")
    assert new_requirements(tmp_path, patch) == []
    assert new_requirements(tmp_path, patch, "test") == ["html5lib"]


@pytest.mark.parametrize("line", ["evil @ https://example.org/evil.zip", "not a requirement !!", "attrs>=20"])
def test_addresses_and_nonsense_are_left_out(line: str, tmp_path: Path) -> None:
    patch = diff(tmp_path, "setup.cfg", CFG.format(more=""), CFG.format(more=f"    {line}"))
    assert new_requirements(tmp_path, patch) == []


def test_code_of_a_build_file_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    before, after = (PY.format(more=""), f"open({str(mark)!r}, 'w')\n" + PY.format(more="'appdirs'"))
    patch = diff(tmp_path, "setup.py", before, after)
    assert new_requirements(tmp_path, patch) == ["appdirs"]
    assert not mark.exists()


def test_a_patch_elsewhere_or_that_does_not_apply(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert new_requirements(tmp_path / "a", diff(tmp_path / "a", "src/setup.cfg", "a\n", "b\n")) == []
    patch = diff(tmp_path / "b", "setup.cfg", CFG.format(more=""), CFG.format(more="    appdirs"))
    (tmp_path / "b" / "setup.cfg").write_text("[metadata]\nname = other\n")
    assert new_requirements(tmp_path / "b", patch) == []
