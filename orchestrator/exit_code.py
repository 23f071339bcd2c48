"""ExitCode: what a command says to its caller, in this one place."""

from __future__ import annotations

from enum import IntEnum

from ..tools import errors


class ExitCode(IntEnum):
    """Exit codes of every command."""

    OK = 0
    """A patch was made and its checks passed; or what was asked for is done."""
    BUG = 1
    """A bug in the program."""
    USAGE = 2
    """Usage or configuration."""
    NO_PATCH = 3
    NOT_VERIFIED = 4
    """There is a patch, and its checks did not show it right."""
    LIMIT = 5
    """A limit was reached; the best patch, if there is one, is kept."""
    MODEL = 6
    """Credentials or model."""
    SANDBOX = 7
    """Sandbox, environment, or a fault of the machine."""
    FORGE = 8
    """Issue, forge or pull request; the patch is kept."""
    PARTLY = 9
    """A batch or an evaluation finished partly: the same command goes on."""
    INTERRUPTED = 130
    TERMINATED = 143


_BY_ERROR: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (errors.ModelError, ExitCode.MODEL),
    (errors.SandboxError, ExitCode.SANDBOX),
    (errors.ProjectError, ExitCode.SANDBOX),
    (errors.IssueError, ExitCode.FORGE),
    (errors.ForgeError, ExitCode.FORGE),
    (errors.BudgetExceeded, ExitCode.LIMIT),
    (errors.PatchError, ExitCode.NOT_VERIFIED),
    (errors.SweAgentError, ExitCode.USAGE),
    (OSError, ExitCode.SANDBOX),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code that stands for `error`."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.BUG)
