"""Interpreters: the Python of a wanted version on this machine, or the nearest one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...tools.errors import ProjectError

_PROBE = (
    "import sys,json,venv,ssl;print(json.dumps([list(sys.version_info[:3]),"
    "getattr(sys,'_base_executable',None) or sys.executable,sys.base_prefix]))"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One CPython on this machine."""

    path: Path
    version: tuple[int, int, int]
    prefix: Path
    """Installation directory, which a sandbox must show."""

    @property
    def short(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"


def find_interpreter(wanted: str) -> Interpreter:
    """The interpreter of version `wanted` (`3.9`), else the nearest minor version (the older of two
    equally near). Raises: ProjectError when there is none at all."""
    major, minor = (int(part) for part in (*wanted.split("."), "0")[:2])
    found = {item.version[:2]: item for item in reversed(installed())}
    if (major, minor) not in found and (major, minor) >= (3, 8) and _install_with_uv(f"{major}.{minor}"):
        installed.cache_clear()
        found = {item.version[:2]: item for item in reversed(installed())}
    usable = [version for version in found if version[0] == major and version >= (3, 6)]
    if not usable:
        raise ProjectError(f"no Python {wanted} on this machine: install one (`uv python install {wanted}`)")
    return found[min(usable, key=lambda version: (abs(version[1] - minor), version[1]))]


@cache
def installed() -> tuple[Interpreter, ...]:
    """Every CPython found on PATH, below pyenv, and known to uv; newest patch release first."""
    seen: dict[Path, Interpreter] = {}
    tried: set[str] = set()
    for candidate in _candidates():
        try:
            real = os.path.realpath(candidate)
        except OSError:
            continue
        if real in tried:
            continue
        tried.add(real)
        try:
            done = subprocess.run(
                [candidate, "-I", "-c", _PROBE], capture_output=True, text=True, timeout=20, check=True
            )
            version, executable, prefix = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
        path = Path(os.path.realpath(executable))
        seen.setdefault(path, Interpreter(path, tuple(version), Path(prefix)))
    return tuple(sorted(seen.values(), key=lambda item: item.version, reverse=True))


def uv_path() -> str | None:
    """The uv executable: beside this interpreter, or on PATH."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def _candidates() -> Iterator[str]:
    names = [f"python3.{minor}" for minor in range(6, 20)]
    roots = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions", Path("/opt/python")]
    uv = uv_path()
    if uv:
        try:
            done = subprocess.run([uv, "python", "dir"], capture_output=True, text=True, timeout=20)
            roots.append(Path(done.stdout.strip() or "/nonexistent"))
        except (OSError, subprocess.SubprocessError):
            pass
    for root in roots:
        if root.is_dir():
            yield from (str(path) for path in sorted(root.glob("*/bin/python3"), reverse=True))
    for folder in os.get_exec_path():
        if "shims" in folder:
            continue
        for name in names:
            if (path := Path(folder) / name).exists():
                yield str(path)
    yield getattr(sys, "_base_executable", None) or sys.executable


def _install_with_uv(version: str) -> bool:
    uv = uv_path()
    if uv is None or os.environ.get("SWE_AGENT_NO_PYTHON_DOWNLOAD") or os.environ.get("UV_OFFLINE"):
        return False
    try:
        command = [uv, "python", "install", "-q", version]
        return subprocess.run(command, capture_output=True, timeout=180).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
