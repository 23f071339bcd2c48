"""Worker: a forked process that swaps candidates in and runs the failing tests, over and over.

Protocol: one JSON object per datagram on a Unix socket. A job is {id, edits, limit, first, again}; an answer
{id, status, passed, gained, lost, slow, seconds}. Whatever a candidate does to its worker (exit, kill,
garbage on the socket) is seen by the pool as a lost answer, never more.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from . import guard
from .chunk import Chunk, SourceFile
from .outcomes import LATE
from .suite import Stop, Suite, Unit
from .swap import NeedsFreshImport, Swapper, restore

if TYPE_CHECKING:
    from .shapes import Job, JobAnswer


class Goal:
    """What is to be turned green and what must stay so."""

    def __init__(
        self, failing: Sequence[int], passing: Sequence[int], red: set[Unit], green: set[Unit],
        reached: Mapping[int, Set[tuple[str, int]]] | None = None,
    ) -> None:  # fmt: skip
        self.reached = reached or {}
        """Functions (path, first line) that a test calls, as far as it is known."""
        self.failing = list(failing)
        self.passing = list(passing)
        self.red = red
        self.green = green

    def guarding(self, chunks: Sequence[Chunk]) -> list[int]:
        """The passing tests that can tell a change of these functions; all of them where it is not known."""

        def concerns(test: int) -> bool:
            called = self.reached.get(test)
            return called is None or any(
                path == chunk.path and chunk.first_line <= line <= chunk.last_line
                for chunk in chunks
                for path, line in called
            )

        return [test for test in self.passing if concerns(test)]


class Worker:
    """Lives in a forked child; `serve` never returns."""

    def __init__(
        self, link: socket.socket, suite: Suite, goal: Goal, swapper: Swapper, fence: guard.Fence, reuse: bool,
        memory: int,
    ) -> None:  # fmt: skip
        self.link = link
        self.suite = suite
        self.goal = goal
        self.swapper = swapper
        self.fence = fence
        self.reuse = reuse
        self.memory = memory
        self.seen: set[bytes] = set()

    def serve(self) -> None:
        os.setsid()
        quiet()
        guard.limit_process(self.memory)
        self.fence.install()
        sys.dont_write_bytecode = True
        while True:
            data = self.link.recv(1 << 22)
            if not data:
                os._exit(0)
            job = json.loads(data)
            answer = self.answer(job) if self.reuse else self.forked(job)
            if answer is not None:
                send(self.link, answer)
                if answer["status"] == "timeout" and self.reuse:
                    os._exit(0)  # a test torn off in the middle leaves fixtures half set up

    def forked(self, job: Job) -> JobAnswer | None:
        """The same in a grandchild, when tests cannot be repeated in one process."""
        pid = os.fork()
        if pid == 0:
            send(self.link, self.answer(job))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        return None if status == 0 else {"id": job["id"], "status": "crash"}

    def answer(self, job: Job) -> JobAnswer:
        start = time.perf_counter()
        out: JobAnswer = {"id": job["id"], "status": "ok", "passed": False, "gained": 0, "lost": 0}
        undo: list[Any] = []
        try:
            chunks: list[Chunk] = []
            digest = hashlib.blake2b(digest_size=12)
            for path, first, text in job["edits"]:
                file = self.swapper.files[path]
                base = next(c for c in file.chunks if c.start == first)
                done = self.swapper.apply(base, base.with_text(text))
                undo += done
                chunks.append(base)
                digest.update(repr(base.key).encode() + code_bytes(done[0][0].__code__))
            key = digest.digest()
            out["key"] = key.hex()
            if key in self.seen and not job.get("again"):
                out["status"] = "same"
                return out
            self.seen.add(key)
            self.fence.active = True
            random.seed(0)
            try:
                guard.arm(job["first"])
                self.judge(out, self.goal.guarding(chunks), job["limit"])
            finally:
                guard.disarm()
        except NeedsFreshImport:
            out["status"] = "fresh"
        except (SyntaxError, ValueError, OverflowError):
            out["status"] = "syntax"
        except Stop:
            out["status"] = "timeout"
        except (MemoryError, RecursionError):
            out["status"] = "ok"
        finally:
            guard.disarm()
            self.fence.active = False
            restore(undo)
        out["seconds"] = time.perf_counter() - start
        return out

    def judge(self, out: JobAnswer, passing: Sequence[int], limit: float) -> None:
        """Failing tests first; stop where nothing gets better; then `passing`, within `limit` seconds."""
        seen: dict[Unit, bool] = {}
        bad = idle = 0
        out["slow"] = True  # until something failed: a timeout then deserves a second try
        for number, test in enumerate([*self.goal.failing, *passing]):
            if number == len(self.goal.failing):
                guard.arm(limit)
            verdict = self.suite.run(test)
            seen.update(verdict.units)
            if not verdict.passed:
                out["slow"] = False
                bad += 1
                gained = sum(1 for unit in self.goal.red if seen.get(unit))
                idle = idle + 1 if not gained else 0
                if idle >= 3 or bad >= 40 or number >= len(self.goal.failing):
                    break
        out["passed"] = bad == 0
        out["gained"] = sum(1 for unit in self.goal.red if seen.get(unit))
        ran = {unit.test for unit in seen}
        out["lost"] = sum(1 for unit in self.goal.green if unit.test in ran and not seen.get(unit, False))


def code_bytes(code: Any) -> bytes:
    """What a code object does, whatever its line numbers."""
    digest = hashlib.blake2b(digest_size=16)
    stack = [code]
    while stack:
        one = stack.pop()
        digest.update(one.co_code)
        digest.update(repr((one.co_names, one.co_varnames, one.co_freevars, one.co_cellvars)).encode())
        for const in one.co_consts:
            if hasattr(const, "co_code"):
                stack.append(const)
            else:
                digest.update(repr(const).encode("utf-8", "surrogatepass") + type(const).__name__.encode())
        digest.update(getattr(one, "co_exceptiontable", b""))
    return digest.digest()


def send(link: socket.socket, answer: JobAnswer) -> None:
    try:
        link.send(json.dumps(answer).encode())
    except OSError:
        os._exit(0)


def quiet() -> None:
    """Standard streams to nowhere: candidates print."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def fresh_run(
    options: list[str], tests: list[str], overrides: dict[str, str], root: str, limit: float
) -> dict[str, str]:
    """Run tests from scratch in this (forked) process with the sources of some files replaced: by pytest
    where there is one, else by unittest.

    Returns outcomes by node id. The import system hands out the new text, so every module level effect
    is real; files on disk stay as they are.
    """
    import importlib.machinery as machinery

    try:
        import pytest
    except ImportError:
        pytest = None  # type: ignore[assignment]

    from .suite import ResultPlugin

    real = {os.path.realpath(os.path.join(root, path)): text for path, text in overrides.items()}
    loader = machinery.SourceFileLoader
    original = loader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        path = self.get_filename(fullname)
        text = real.get(os.path.realpath(path))
        if text is not None:
            return compile(text.encode("utf-8", "surrogateescape"), path, "exec", dont_inherit=True)
        return original(self, fullname)

    loader.get_code = get_code  # type: ignore[method-assign]
    if pytest is None:
        from .unittests import run_all

        return run_all(tests, root, limit)
    plugin = ResultPlugin()
    if set(overrides) & {test.partition("::")[0] for test in tests}:
        # A file named on the command line (its doctests are run) is read by the rewriter of assertions itself.
        options = [*options, "--assert=plain"]
    guard.arm(limit)
    try:
        pytest.main([*options, *tests], plugins=[plugin])
    except Stop:
        plugin.outcomes[LATE] = "failed"
    finally:
        guard.disarm()
    return plugin.outcomes


def kill_group(pid: int) -> None:
    for kill in (lambda: os.killpg(pid, signal.SIGKILL), lambda: os.kill(pid, signal.SIGKILL)):
        try:
            kill()
        except (ProcessLookupError, PermissionError):
            continue


__all__ = ["Chunk", "Goal", "SourceFile", "Worker", "fresh_run", "kill_group", "quiet", "send"]
