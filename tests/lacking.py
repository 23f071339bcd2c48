"""What this machine lacks, for tests that are skipped without it."""

from __future__ import annotations

from functools import cache

from swe_agent.tools.sandbox.doctor import diagnose


@cache
def no_walls() -> str:
    """Why no namespace sandbox can be opened here; "" where one can."""
    tried = {check.name: check for check in diagnose()}["sandbox namespace"]
    return "" if tried.ok else f"this machine lacks: {tried.name} ({tried.detail})"
