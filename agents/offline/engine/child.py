"""Child: work done in a fork, so that it leaves no trace in this process."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any, Callable, List, Optional

from . import guard
from .candidate import Candidate
from .suite import Suite, wall_of
from .swap import Swapper
from .worker import Goal, kill_group, quiet


def in_child(work: Callable[[], Any], limit: float) -> Optional[Any]:
    """The value of `work()` computed in a fork; None when it crashed or took longer than `limit` processor
    seconds (or much more than that in wall seconds)."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            os.setsid()
            quiet()
            guard.arm(limit)
            data = json.dumps(work()).encode()
            guard.disarm()
            with os.fdopen(write, "wb") as handle:
                handle.write(data)
        finally:
            os._exit(0)  # a child never returns into the caller's stack, whatever was raised
    os.close(write)
    end = time.monotonic() + wall_of(limit) + 5.0
    chunks: List[bytes] = []
    while True:
        ready, _, _ = select.select([read], [], [], max(0.0, end - time.monotonic()))
        data = os.read(read, 1 << 16) if ready else b""
        if not data:
            break
        chunks.append(data)
    os.close(read)
    kill_group(pid)
    os.waitpid(pid, 0)
    try:
        return json.loads(b"".join(chunks))
    except ValueError:
        return None


def confirmed(
    suite: Suite,
    goal: Goal,
    swapper: Swapper,
    fence: guard.Fence,
    candidate: Candidate,
    limit: float,
    memory: int,
) -> bool:
    """Whether every test of the goal passes with the candidate; to be called in a fork."""
    for base, text in candidate.texts:
        swapper.apply(base, base.with_text(text))
    guard.limit_process(memory)
    fence.install()
    fence.active = True
    guard.arm(limit)
    good = all(suite.run(test).passed for test in [*goal.failing, *goal.passing])
    guard.disarm()
    fence.active = False
    return good
