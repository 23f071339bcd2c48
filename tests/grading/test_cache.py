"""`swe-agent cache`: what is listed, what goes, what stays."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def _make(root: Path) -> Path:
    for name, marker in (
        ("native/acme-1", "environment.json"),
        ("environments/ab12", "ready.json"),
        ("native/layers/x1", "layer.json"),
    ):
        (root / name).mkdir(parents=True)
        (root / name / marker).write_text("{}")
    for name in ("native/half", "native/building"):
        (root / name).mkdir()
        (root / name / "big").write_bytes(b"x" * 300_000)
    for name in ("native/acme-1", "environments/ab12", "native/layers/x1", "native/half", "native/building"):
        (root / f"{name}.lock").touch()
    (root / "uv/wheels").mkdir(parents=True)
    return root


def _run(root: Path, *words: str) -> str:
    command = [sys.executable, "-m", "swe_agent", "cache", words[0], "--cache", str(root), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_list_and_clean(tmp_path: Path) -> None:
    root = _make(tmp_path / "cache")
    found = {row["name"]: row["state"] for row in map(json.loads, _run(root, "list", "--json").splitlines())}
    assert found == {
        "native/acme-1": "whole",
        "environments/ab12": "whole",
        "native/layers/x1": "whole",
        "native/half": "unfinished",
        "native/building": "unfinished",
        "uv": "shared",
    }
    with (root / "native/building.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "would remove native/half" in _run(root, "clean", "--dry-run")
        assert (root / "native/half").exists()
        _run(root, "clean")
        assert not (root / "native/half").exists()
        assert (root / "native/building").exists(), "somebody builds it"
    old = root / "native/acme-1"
    for path in (old / "environment.json", old):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    _run(root, "clean", "--older-than", "30")
    assert not old.exists()
    assert (root / "environments/ab12").exists()
    _run(root, "clean", "--all")
    assert not (root / "environments/ab12").exists()


def test_an_empty_cache(tmp_path: Path) -> None:
    assert "0 entries" in _run(tmp_path / "nothing", "list")
    assert "0.0 MB freed" in _run(tmp_path / "nothing", "clean")


@pytest.mark.parametrize("word", ["list", "clean"])
def test_links_are_not_followed(tmp_path: Path, word: str) -> None:
    root, outside = _make(tmp_path / "cache"), tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (root / "native/half/link").symlink_to(outside)
    _run(root, word)
    assert (outside / "kept").exists()
