"""The same solve in every sandbox gives the same patch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SOLVE, Done

Run = Callable[..., Done]


@pytest.mark.docker
def test_namespace_and_docker_agree(
    swe_agent: Run, parking: Path, script: Callable[..., str], docker_image: str
) -> None:
    patches = {}
    for kind, flags in (
        ("namespace", []),
        ("docker", ["--image", docker_image, "--test-cmd", "python3 -m pytest"]),
    ):
        done = swe_agent(
            *SOLVE,
            parking,
            "--model",
            script(),
            "--sandbox",
            kind,
            *flags,
            "--json",
        )
        assert done.code == 0, done.err
        patches[kind] = done.json["patch"]
    assert patches["namespace"] == patches["docker"]


def test_plain_warns(swe_agent: Run, parking: Path, script: Callable[..., str]) -> None:
    done = swe_agent(*SOLVE, parking, "--model", script(), "--sandbox", "plain", "--json")
    assert done.code == 0, done.err
    assert "NO WALLS" in done.err
    assert done.err.count("has no walls") == 1


def test_missing_image_is_the_daemons_own_words(
    swe_agent: Run, parking: Path, script: Callable[..., str], docker_engine: str
) -> None:
    done = swe_agent(*SOLVE, parking, "--model", script(), "--image", "no/such:image", "-q")
    assert done.code == 7
    assert "no/such" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_offline_repair_without_walls(swe_agent: Run, parking: Path) -> None:
    done = swe_agent(*SOLVE, parking, "--sandbox", "plain", "--json")
    assert done.code == 0, done.err
