"""A repository whose source is not UTF-8, from the issue to the checkout and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import RIGHT, WRONG, Done, edit, git, said, state_of
from .conftest import call as tool

Run = Callable[..., Done]


def test_a_source_in_latin_1(
    swe_agent: Run, parking: Path, script: Callable[..., str], tmp_path: Path
) -> None:
    path = parking / "parking" / "tariff.py"
    source = path.read_text().replace(WRONG, f"{WRONG}  # à l'heure")
    path.write_bytes(b"# -*- coding: latin-1 -*-\n" + source.encode("latin-1"))
    git(parking, "commit", "-qam", "latin-1")
    before = state_of(parking)
    model = script(
        coder=[said(edit(WRONG, RIGHT)), said(tool("runTests")), said(tool("finish", summary="x"))]
    )
    done = swe_agent("solve", "--text", "x", "--repo", parking, "--model", model, "--json", "--output", "r")
    assert done.code == 0, done.err
    assert RIGHT in done.json["patch"]
    assert b"\xe0 l'heure" in (tmp_path / "r" / "patch.diff").read_bytes()
    assert json.loads(swe_agent("runs", "show", "r", "--json").out)["run_id"] == "r"
    assert swe_agent("runs", "diff", "r", "r").code == 0
    assert swe_agent("replay", "r").code == 0
    assert swe_agent("apply", "r").code == 0
    assert path.read_bytes().count(RIGHT.encode() + b"  # \xe0 l'heure") == 1
    assert swe_agent("apply", "r", "--undo").code == 0
    assert state_of(parking) == before
