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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the script of ./bootstrap holds it back until now
    from .main import main as run

    return run()


def begun() -> None:
    """From now on whoever runs handles ^C. In a process that did not begin here nothing changes."""
    if signal.getsignal(signal.SIGINT) is _nothing_begun:
        signal.signal(signal.SIGINT, signal.default_int_handler)
