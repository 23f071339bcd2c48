"""What this machine lacks, for tests that are skipped without it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache

from swe_agent.tools.sandbox.doctor import diagnose


@cache
def no_walls() -> str:
    """Why no namespace sandbox can be opened here; "" where one can."""
    tried = {check.name: check for check in diagnose()}["sandbox namespace"]
    return "" if tried.ok else f"this machine lacks: {tried.name} ({tried.detail})"


@cache
def no_index() -> str:
    """Why no package can be installed here; "" where the index answers."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-cache",
            "--target",
            folder,
            "iniconfig",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = done.stderr.strip().splitlines()[-1:]
    return (
        ""
        if done.returncode == 0
        else f"this machine lacks: a package index that answers ({' '.join(said)[:200]})"
    )
