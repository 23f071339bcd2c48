from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from forges.forge_server import ForgeServer, running


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeServer]:
    """A GitHub- and GitLab-like forge on loopback, empty."""
    yield from running(tmp_path)
