"""Relocation: a virtual environment or editable install that must work from another path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

_MAX_BYTES = 1 << 20


def relocate(venv: Path, moves: Mapping[str, str]) -> int:
    """Rewrite absolute paths in the launchers and path files of `venv`: each key of `moves` becomes its
    value. Returns the number of files changed. Files are replaced, never written in place, because
    they may be hard links into a shared cache."""
    changed = 0
    pairs = [
        (old.encode(), new.encode()) for old, new in sorted(moves.items(), key=lambda item: -len(item[0]))
    ]
    for path in _candidates(venv):
        data = path.read_bytes()
        new = data
        for old, replacement in pairs:
            new = new.replace(old, replacement)
        if new != data:
            mode = path.stat().st_mode
            fresh = path.with_name(path.name + ".relocated")
            fresh.write_bytes(new)
            fresh.chmod(mode)
            fresh.replace(path)
            for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
                stale.unlink()
            changed += 1
    return changed


def copy_venv(source: Path, destination: Path, moves: Mapping[str, str]) -> None:
    """A private copy of a virtual environment that works at `destination`."""
    shutil.copytree(source, destination, symlinks=True, copy_function=_link_or_copy)
    relocate(destination, {str(source): str(destination), **moves})


def _link_or_copy(source: str, destination: str) -> None:
    try:
        os.link(source, destination, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, destination, follow_symlinks=False)


def _candidates(venv: Path) -> Iterator[Path]:
    yield from _text_files((venv / "bin").iterdir())
    if (config := venv / "pyvenv.cfg").is_file():
        yield config
    for site in venv.glob("lib/python*/site-packages"):
        yield from _text_files(
            path
            for path in site.iterdir()
            if path.suffix in (".pth", ".egg-link")
            or path.name.startswith("__editable__")
            or "editable" in path.name
        )
        yield from _text_files(site.glob("*.dist-info/direct_url.json"))
        yield from _text_files(site.glob("__editable__*/**/*.py"))


def _text_files(paths: Iterator[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MAX_BYTES:
            yield path
