"""What says how `solve` works: flags, files, variables, the repository with consent; and what an installed package holds."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SOLVE, Done, git

Run = Callable[..., Done]


def test_dry_run_spends_nothing(swe_agent: Run, parking: Path, tmp_path: Path) -> None:
    done = swe_agent(*SOLVE, parking, "--dry-run")
    assert done.code == 0
    assert "tests: python -m pytest" in done.out
    assert not (tmp_path / "state").exists()


def test_a_repository_cannot_steer_without_consent(
    swe_agent: Run, parking: Path, script: Callable[..., str]
) -> None:
    (parking / ".swe-agent.toml").write_text('test-cmd = "false"\nmodel = "openai/evil"\n')
    git(parking, "add", "-A")
    git(parking, "commit", "-qm", "config")
    done = swe_agent(*SOLVE, parking, "--model", script(), "--dry-run")
    assert "model is ignored" in done.err
    assert "not used" in done.err
    assert "tests: python -m pytest" in done.out


def test_config_files_and_environment(swe_agent: Run, parking: Path, tmp_path: Path) -> None:
    config = tmp_path / "config" / "swe-agent" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('search = "best-of-n"\n[solve]\nsandbox = "plain"\n')
    done = swe_agent(*SOLVE, parking, "--dry-run")
    assert "search: best-of-n" in done.out
    assert "sandbox: plain" in done.out
    done = swe_agent(*SOLVE, parking, "--dry-run", env={"SWE_AGENT_SEARCH": "tree"})
    assert "search: tree" in done.out
    shown = swe_agent("config", "show", "--origin")
    assert f'search = "best-of-n"  # {config}' in shown.out
    config.write_text("search = \n")
    broken = swe_agent(*SOLVE, parking, "--dry-run")
    assert broken.code == 2
    assert str(config) in broken.err


def test_wheel_holds_the_package(tmp_path: Path) -> None:
    """A build from the checkout, so that a folder or a data file left out of pyproject.toml is noticed."""
    root = Path(__file__).resolve().parents[2]
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("needs git and a checkout")
    source = tmp_path / "source"
    git(tmp_path, "clone", "-q", str(root), str(source))
    import sys
    import zipfile

    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path / "dist"), str(source)],
        check=True,
    )
    names = zipfile.ZipFile(next((tmp_path / "dist").glob("*.whl"))).namelist()
    for needed in (
        "prompts/coder.md",
        "examples/parking/repo/parking/tariff.py",
        "orchestrator/pages/run.html",
        "orchestrator/pages/page.js",
        "py.typed",
    ):
        assert f"swe_agent/{needed}" in names
    assert not [
        name for name in names if name.startswith(("swe_agent/tests", "swe_agent/bench", "tests", "agents"))
    ]
