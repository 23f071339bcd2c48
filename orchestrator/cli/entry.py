"""entry: where `swe-agent` begins. ^C while modules are still imported ends it at once, in one line."""

from __future__ import annotations

import os
import signal


def _nothing_begun(number: int, frame: object) -> None:
    os.write(2, b"swe-agent: interrupted\n")
    os._exit(128 + number)


def main() -> int:
    """The command line of this process; returns its exit code."""
    signal.signal(signal.SIGINT, _nothing_begun)
    from .main import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()
