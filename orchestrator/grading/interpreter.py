"""find_interpreter: the Python of a wanted version on this machine, or the nearest one."""

from __future__ import annotations

import os
import subprocess

from ...tools.errors import ProjectError
from ...tools.project.installer import find_uv
from ...tools.project.interpreters import Interpreter, installed


def find_interpreter(wanted: str) -> Interpreter:
    """The CPython of version `wanted` (`3.9`), else the nearest minor version (the older of two
    equally near). Raises: ProjectError when there is none at all."""
    major, minor = (int(part) for part in (*wanted.split("."), "0")[:2])
    found = _by_minor()
    if (major, minor) not in found and (major, minor) >= (3, 8) and _install_with_uv(f"{major}.{minor}"):
        installed.cache_clear()
        found = _by_minor()
    usable = [version for version in found if version[0] == major and version >= (3, 6)]
    if not usable:
        raise ProjectError(f"no Python {wanted} on this machine: install one (`uv python install {wanted}`)")
    return found[min(usable, key=lambda version: (abs(version[1] - minor), version[1]))]


def _by_minor() -> dict[tuple[int, int], Interpreter]:
    return {item.minor: item for item in installed() if item.implementation == "CPython"}


def _install_with_uv(version: str) -> bool:
    uv = find_uv()
    if uv is None or os.environ.get("SWE_AGENT_NO_PYTHON_DOWNLOAD") or os.environ.get("UV_OFFLINE"):
        return False
    try:
        command = [str(uv), "python", "install", "-q", version]
        return subprocess.run(command, capture_output=True, timeout=180).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False
