"""Relocation: a virtual environment or editable install that must work from another path."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...tools.errors import ProjectError

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
            descriptor, fresh = tempfile.mkstemp(dir=path.parent)  # never through a link that lies there
            with os.fdopen(descriptor, "wb") as file:
                file.write(new)
            Path(fresh).chmod(stat.S_IMODE(path.lstat().st_mode))
            Path(fresh).replace(path)
            for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
                stale.unlink()
            changed += 1
    return changed


def copy_venv(source: Path, destination: Path, moves: Mapping[str, str]) -> None:
    """A private copy of a virtual environment that works at `destination`; links are copied as links, and what is
    neither file, folder nor link is left out. Raises: ProjectError when `source` is a link."""
    if source.is_symlink():
        raise ProjectError(f"{source} is a link: the environment was tampered with")
    shutil.copytree(source, destination, symlinks=True, ignore=_special, copy_function=shutil.copy2)
    relocate(destination, {str(source): str(destination), **moves})


def _special(folder: str, names: list[str]) -> list[str]:
    kinds = {name: Path(folder, name).lstat().st_mode for name in names}
    return [n for n, m in kinds.items() if not (stat.S_ISREG(m) or stat.S_ISDIR(m) or stat.S_ISLNK(m))]


def _candidates(venv: Path) -> Iterator[Path]:
    """Launchers and path files: ordinary files that no link leads to."""
    if venv.is_symlink():
        return
    for folder, folders, names in os.walk(venv):
        parts = Path(folder).relative_to(venv).parts
        if len(parts) == 4 and not parts[3].startswith("__editable__"):
            folders.clear()
        for name in names:
            path = Path(folder, name)
            if _wanted(parts, name):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_BYTES:
                    yield path


def _wanted(parts: tuple[str, ...], name: str) -> bool:
    if parts in ((), ("bin",)):
        return bool(parts) or name == "pyvenv.cfg"
    if parts[:1] != ("lib",) or parts[2:3] != ("site-packages",):
        return False
    if len(parts) == 3:
        return name.endswith((".pth", ".egg-link")) or "editable" in name
    if parts[3].startswith("__editable__"):
        return name.endswith(".py")
    return len(parts) == 4 and parts[3].endswith(".dist-info") and name == "direct_url.json"
