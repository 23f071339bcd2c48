"""Ahead: while a model is asked the machine is idle, and runs on the base commit what a check may have to ask of it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from ...tools.errors import SandboxError
from ...tools.testing.report import TestReport
from ...tools.testing.runner import TestRunner
from ...tools.workspace import Workspace
from .blocked import is_blocked
from .test_names import file_of

MOST_FILES = 8
"""Files that are run ahead in one run of the product."""
MOST_S = 60.0
"""Seconds that they may take in all."""
_FILE_S = 20.0
_LOOK_AGAIN_S = 0.5


@dataclass
class Ahead:
    """Runs the test files of `files` on forks of `workspace`, one after the other, in a thread of its own. What they
    say is kept aside until somebody asks for it: neither a prompt nor a plan depends on how far this came. A file is
    begun only while the machine has a core to spare, and ended, to be begun again, when a check begins."""

    runner: TestRunner
    workspace: Workspace
    files: Sequence[str] = ()
    heard: dict[str, TestReport] = field(default_factory=dict[str, TestReport])
    """File → its run, when it came to its end."""
    idle: Callable[[], bool] = field(default=lambda: _idle())
    """Whether the machine has a core to spare."""
    _fork: Workspace | None = None
    _checks: int = 0
    _over: bool = False
    _thread: threading.Thread | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def start(self, files: Sequence[str]) -> None:
        """Once; nothing happens on a machine with a single core, or without walls."""
        self.files = files[:MOST_FILES]
        walls = self.workspace.sandbox.kind != "plain"
        if self.files and walls and self._thread is None and (os.cpu_count() or 1) > 1:
            self._thread = threading.Thread(target=self._work, name="ahead", daemon=True)
            self._thread.start()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing is run ahead meanwhile. May be nested, and entered by several threads."""
        with self._changed:
            self._checks += 1
            self._end_current()
        try:
            yield
        finally:
            with self._changed:
                self._checks -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """For good. Blocks until nothing of it runs."""
        with self._changed:
            self._over = True
            self._end_current()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def known(self, names: Collection[str]) -> tuple[list[TestReport], list[str]]:
        """What was heard of `names` (test files, or pytest ids in them), a report a file; and the names of which
        nothing was heard."""
        asked, open_ = dict[str, set[str]](), list[str]()
        for name in names:
            if file_of(name) in self.heard:
                asked.setdefault(file_of(name), set()).add(name)
            else:
                open_.append(name)
        reports = list[TestReport]()
        for file, some in asked.items():
            report = self.heard[file]
            results = {
                test: result for test, result in report.results.items() if file in some or test in some
            }
            reports.append(replace(report, results=results))
        return reports, open_

    def _end_current(self) -> None:
        if self._fork is not None:
            self._fork.close()  # ends what runs in it; the thread hears an error and begins the file again later
            self._fork = None

    def _work(self) -> None:
        left, room = deque(self.files), MOST_S
        while left and room > 0 and (fork := self._next()):
            began = time.monotonic()
            try:
                report = self.runner.run(fork, [left[0]], timeout=min(_FILE_S, room), cold=True)
            except Exception:  # a check will ask for itself, and say what is wrong
                report = None
            with self._changed:
                ended = self._fork is fork
                self._fork = None
            fork.close()
            room -= time.monotonic() - began
            if ended:
                file = left.popleft()
                if (
                    report is not None
                    and report.ended
                    and report.exit_code in (0, 1)
                    and not report.timed_out
                    and not is_blocked([file], report)
                ):
                    self.heard[file] = report

    def _next(self) -> Workspace | None:
        """A fork to run in, once nobody checks and a core is idle; None: it is over."""
        with self._changed:
            while not self._over and (self._checks or not self.idle()):
                self._changed.wait(_LOOK_AGAIN_S)
            if self._over:
                return None
            with suppress(SandboxError):
                self._fork = self.workspace.fork()
            return self._fork


def _idle() -> bool:
    """Whether the machine has at least a core that nobody waits for."""
    try:
        return os.getloadavg()[0] < (os.cpu_count() or 1)
    except OSError:
        return False
