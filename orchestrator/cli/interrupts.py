"""interrupts: ^C before a command has begun ends the process at once, in one line."""

from __future__ import annotations

import os
import signal


def none_begun() -> None:
    """While modules are still imported. The script of ./bootstrap holds ^C back until here."""
    signal.signal(signal.SIGINT, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def begun() -> None:
    """From now on whoever runs handles ^C. In a process that `none_begun` was not called in nothing changes."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: object) -> None:
    os.write(2, b"swe-agent: interrupted\n")
    os._exit(128 + number)
