"""The table of docs/sandboxes.md is made by the probes, and says what they find."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swe_agent.tools.sandbox.probe_programs import PROGRAMS
from swe_agent.tools.sandbox.probes import probe, table

_PAGE = Path(__file__).parents[2] / "docs" / "sandboxes.md"


@pytest.mark.parametrize("kind", ["namespace", pytest.param("docker", marks=pytest.mark.docker)])
def test_no_attack_gets_through_the_walls(kind: str, request: pytest.FixtureRequest) -> None:
    image = request.getfixturevalue("docker_image") if kind == "docker" else None
    tried = probe({kind: image})
    if all(one.verdict == "not tried" for one in tried):
        pytest.skip(tried[0].detail)
    assert [one for one in tried if one.verdict == "not held"] == []
    assert len(re.findall(r"\| (?:held|limited) \|", table(tried))) == len(PROGRAMS)


def test_the_page_has_every_attack() -> None:
    page = _PAGE.read_text()
    assert [program.attack for program in PROGRAMS if f"| {program.attack} |" not in page] == []
