"""What `import swe_agent` offers, and README's example of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import swe_agent
from swe_agent.examples import materialise

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", swe_agent.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(swe_agent, name) is not None
    assert name in dir(swe_agent)


def test_importing_it_imports_none_of_it() -> None:
    code = "import sys, swe_agent; print([m for m in sys.modules if m.startswith('swe_agent.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nosuch"):
        _ = swe_agent.nosuch


@pytest.mark.slow
def test_the_readme_example_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    example = next(block for block in blocks if "from swe_agent import" in block)
    materialise(tmp_path / "project")
    place = tmp_path / "here"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=place,
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 "), done.stdout
    assert "2 fixed, 0 broken" in done.stdout
