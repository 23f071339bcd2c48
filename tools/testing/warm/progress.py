"""watched: how far a test run is, read off its report while it grows. For the screen only: nobody checks its lines."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from ...sandbox import Sandbox

OnProgress: TypeAlias = Callable[[int, int], None]
"""(tests that have ended, tests that were found)."""
LOOK_S = 0.7
_MOST_BYTES = 16 << 20
_FOUND = re.compile(rb'"(?:collected|total)": ?(\d{1,9})\b')
"""As pytest and as unittest say it."""


@contextmanager
def watched(sandbox: Sandbox, folder: str, on_progress: OnProgress | None) -> Iterator[None]:
    """Tell `on_progress` of the run whose files are in `folder`, from a thread, until the block ends."""
    if on_progress is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_S):
            data = sandbox.peek(f"{folder}/report.jsonl", _MOST_BYTES) or b""
            total = sum(int(count) for count in _FOUND.findall(data))
            if total and not over.is_set():
                on_progress(min(total, data.count(b'"test":')), total)

    thread = threading.Thread(target=look, name="test-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
