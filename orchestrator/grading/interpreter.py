"""Interpreters: the Python of a wanted version on this machine, or the nearest one."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from ...tools.errors import ProjectError
from ...tools.project import interpreters
from ...tools.project.installer import find_uv


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
        interpreters.installed.cache_clear()
        found = {item.version[:2]: item for item in reversed(installed())}
    usable = [version for version in found if version[0] == major and version >= (3, 6)]
    if not usable:
        raise ProjectError(f"no Python {wanted} on this machine: install one (`uv python install {wanted}`)")
    return found[min(usable, key=lambda version: (abs(version[1] - minor), version[1]))]


def installed() -> tuple[Interpreter, ...]:
    """Every CPython of this machine, newest patch release first."""
    return tuple(
        Interpreter(item.path, _numbers(item.version), item.prefixes[0])
        for item in interpreters.installed()
        if item.implementation == "CPython"
    )


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, micro = (*Version(version).release, 0, 0)[:3]
    return major, minor, micro


def uv_path() -> str | None:
    """The uv executable: on PATH, or the one of the installed package."""
    found = find_uv()
    return str(found) if found else None


def _install_with_uv(version: str) -> bool:
    uv = uv_path()
    if uv is None or os.environ.get("SWE_AGENT_NO_PYTHON_DOWNLOAD") or os.environ.get("UV_OFFLINE"):
        return False
    try:
        command = [uv, "python", "install", "-q", version]
        return subprocess.run(command, capture_output=True, timeout=180).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
