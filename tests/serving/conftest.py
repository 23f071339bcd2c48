"""The bundled example's repository, and an environment of the test's own for servers and their runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swe_agent.examples import materialise


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(tmp_path: Path, cache: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SWE_AGENT_", "OPENAI_", "GH_", "GITHUB_"))
    }
    return {**kept, "XDG_STATE_HOME": str(tmp_path / "state"), "SWE_AGENT_CACHE": str(cache)}


@pytest.fixture
def parking(tmp_path: Path) -> Path:
    return materialise(tmp_path / "parking")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
