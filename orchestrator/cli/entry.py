"""entry: where `swe-agent` begins."""

from __future__ import annotations

from .interrupts import none_begun


def main() -> int:
    """The command line of this process; returns its exit code."""
    none_begun()
    from .main import main as run

    return run()
