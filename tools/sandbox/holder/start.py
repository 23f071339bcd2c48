"""The first process of a command or session: from a fork to the program, behind the walls."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

from . import kernel
from .limits import apply_to_command


def become(
    request: dict[str, Any], stdin: int | None, out: int, over_disk: bool, report: int | None = None
) -> NoReturn:
    """Called in a forked child: turn into the command of `request`. Never returns.

    Errors go where output goes; with `report`, what the command writes to its standard error is dropped
    and only the reason why it could not start goes to that descriptor.
    """
    argv: list[str] = request["argv"]
    code = 126
    try:
        os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY) if stdin is None else stdin, 0)
        os.dup2(out, 1)
        os.dup2(out if report is None else os.open("/dev/null", os.O_WRONLY), 2)
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        what = request["cwd"]
        try:
            apply_to_command(request["limits"], over_disk)
            os.chdir(what)
            what = argv[0]
            os.execvpe(what, argv, request["env"])
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            os.write(
                2 if report is None else report, f"{what}: {reason}\n".encode("utf-8", "surrogateescape")
            )
            if what == argv[0] and isinstance(error, FileNotFoundError):
                code = 127
    finally:
        os._exit(code)


def lead(start: Callable[[], NoReturn], descriptors: tuple[int, ...]) -> NoReturn:
    """The leader of a session: a parent for all that is started in it, until its first process ends.

    `descriptors` are that process's alone.
    """
    try:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        first = os.fork()
        if first == 0:
            start()
        for descriptor in descriptors:
            os.close(descriptor)
        while True:
            ended, _ = os.waitpid(-1, 0)
            if ended == first:
                break
    finally:
        os._exit(0)
