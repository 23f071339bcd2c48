"""Groups: the control groups of sandboxes that were closed, removed behind the product's back.

The kernel removes a group at once, but one lock serves all groups of a machine, and whoever is moved into a group holds
it for 5 to 20 ms: nobody who closes a sandbox shall wait for that.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading

from .holder import cgroup

_AT_EXIT_S = 2.0


class _Groups:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._left: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def remove(self, folders: list[str]) -> None:
        """Remove a group whose processes were killed, soon."""
        if not folders:
            return
        with self._lock:
            if self._thread is None or self._pid != os.getpid():  # threads do not survive a fork
                self._pid, self._left = os.getpid(), queue.SimpleQueue()
                self._thread = threading.Thread(target=self._work, args=(self._left,), daemon=True)
                self._thread.start()
            self._left.put(folders)

    def stop(self) -> None:
        """Remove those that are waiting; a group that is not empty by then is left to the zygote."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None or self._pid != os.getpid():
                return
            self._left.put(None)
        thread.join(_AT_EXIT_S)

    @staticmethod
    def _work(left: queue.SimpleQueue[list[str] | None]) -> None:
        while (folders := left.get()) is not None:
            cgroup.remove(folders)


GROUPS = _Groups()
atexit.register(GROUPS.stop)
