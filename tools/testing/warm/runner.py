"""WarmRunner: decides when a warm run can be trusted, and keeps the zygotes."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Sequence

from ...errors import SandboxError
from ...project.spec import Project
from ...workspace import Workspace
from ..report import Outcome, TestReport
from .bytecode import Bytecode
from .delta import Delta, delta_of
from .zygote import Zygote, pytest_arguments

WORTH_S = 40.0
"""What a warm run saves is start-up: a cold run longer than this gains too little for the check it costs."""
_RESET = (
    "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c gc.auto=0 reset -q --hard {base} && "
    "git -c core.fsmonitor=false clean -ffdq"
)


class WarmRunner:
    """Warm runs of one project's tests. Safe to use from several threads.

    A selection is run cold the first time. The second time its warm verdict on the same tree is compared
    with a cold one: only a selection whose verdicts agree is run warm from then on. A run that crashes,
    times out or ends in an internal error has no warm verdict; tests that write into the tree never do.
    """

    def __init__(self, project: Project, *, bytecode: Bytecode | None = None, zygotes: int = 2) -> None:
        self._project = project
        self._bytecode = bytecode
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], int] = {}
        self._barred: dict[tuple[str, ...], str] = {}
        self._trusted: dict[tuple[str, ...], set[Zygote]] = {}
        self._idle: queue.LifoQueue[Zygote] = queue.LifoQueue()
        self._all: list[Zygote] = []
        self._limit = zygotes
        self.disabled = "" if pytest_arguments(project.test_command.command) else "not a plain pytest command"
        """Why no run is warm; "" while they may be."""

    def why_cold(self, selection: Sequence[str]) -> str:
        """Why a selection is not run warm, "" when it is or may be."""
        return self.disabled or self._barred.get(tuple(sorted(selection)), "")

    def expect(self, selection: Sequence[str]) -> None:
        """The selection will be run often: its next run may be warm already."""
        with self._lock:
            key = tuple(sorted(selection))
            self._seen[key] = max(1, self._seen.get(key, 0))

    def note(self, selection: Sequence[str], report: TestReport) -> None:
        """What a cold run of the selection said, so that a hopeless one is not tried warm."""
        key = tuple(sorted(selection))
        if not report.timed_out and report.duration_s > WORTH_S and not self._trusted.get(key):
            self._bar(key, "the run is too long to gain from it")

    def run(self, workspace: Workspace, selection: Sequence[str], *, timeout: float) -> TestReport | None:
        """The warm verdict, or None when there is none to trust: run cold then."""
        key = tuple(sorted(selection))
        with self._lock:
            self._seen[key] = self._seen.get(key, 0) + 1
            if self.disabled or key in self._barred or self._seen[key] < 2:
                return None
        try:
            delta = delta_of(workspace)
        except (SandboxError, OSError):
            return None
        if delta is None:
            return None
        zygote = self._take(workspace)
        if zygote is None:
            return None
        try:
            if zygote not in self._trusted.get(key, ()):
                return self._first(zygote, workspace, delta, key, selection, timeout)
            done = zygote.run(delta, selection, timeout=timeout)
            if done.polluted:
                self._bar(key, "its tests write into the working tree")
            return done.report
        except SandboxError:
            return None
        finally:
            self._put(zygote)

    def _first(
        self,
        zygote: Zygote,
        workspace: Workspace,
        delta: Delta,
        key: tuple[str, ...],
        selection: Sequence[str],
        timeout: float,
    ) -> TestReport | None:
        """Compare warm with cold on one tree: plain, with installed modules preloaded, and continued."""
        from .cold import run_cold

        with workspace.fork() as fork:
            cold, _ = run_cold(
                fork.sandbox, self._project, selection, timeout=timeout, log=None, bytecode=self._bytecode
            )
        if cold.timed_out or cold.duration_s > WORTH_S or not cold.results:
            self._bar(key, "the run is too long to gain from it" if cold.results else "no tests ran")
            return cold
        plain = zygote.run(delta, selection, timeout=timeout)
        if plain.polluted or plain.report is None or verdict(plain.report) != verdict(cold):
            self._bar(
                key, plain.why or ("its tests write into the tree" if plain.polluted else "verdicts differ")
            )
            return cold
        ahead = zygote.run(delta, selection, timeout=timeout, origin="session", preload=True)
        if ahead.report is None or verdict(ahead.report) != verdict(cold):
            zygote.forget_preloaded()
        again = zygote.run(delta, selection, timeout=timeout)
        if again.report is None or verdict(again.report) != verdict(cold):
            self._bar(key, again.why or "a continued run differs")
            return cold
        with self._lock:
            self._trusted.setdefault(key, set()).add(zygote)
        return cold

    def _bar(self, key: tuple[str, ...], why: str) -> None:
        with self._lock:
            self._barred[key] = why

    def _take(self, workspace: Workspace) -> Zygote | None:
        """An idle zygote, else a new one while there may be more, else the next one to be free."""
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        with self._lock:
            room = len(self._all) < self._limit and not self.disabled
        if room:
            return self._start(workspace)
        if not self._all:
            return None
        with contextlib.suppress(queue.Empty):
            return self._idle.get(timeout=600.0)
        return None

    def _start(self, workspace: Workspace) -> Zygote | None:
        fork: Workspace | None = None
        try:
            fork = workspace.fork()
            reset = fork.exec(_RESET.format(base=fork.base_commit), timeout=300)
            if reset.exit_code != 0:
                raise SandboxError(f"the tree cannot be reset: {reset.output.strip()[-300:]}")
            zygote = Zygote(fork, self._project, self._bytecode)
        except SandboxError as error:
            if fork is not None:
                fork.close()
            self.disabled = str(error)
            return None
        with self._lock:
            self._all.append(zygote)
        return zygote

    def _put(self, zygote: Zygote) -> None:
        if zygote.usable:
            self._idle.put(zygote)
            return
        zygote.close()
        with self._lock:
            if zygote in self._all:
                self._all.remove(zygote)
            for trusted in self._trusted.values():
                trusted.discard(zygote)

    def close(self) -> None:
        """End all zygotes. Idempotent."""
        with self._lock:
            zygotes, self._all = self._all, []
            self._idle = queue.LifoQueue()
            self._trusted.clear()
        for zygote in zygotes:
            zygote.close()


def verdict(report: TestReport) -> dict[str, Outcome]:
    """What two runs must agree on: each test's outcome."""
    return {test: result.outcome for test, result in report.results.items()}
