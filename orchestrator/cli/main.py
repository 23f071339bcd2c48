"""main: runs a command and maps every error to its exit code, in this one place.

| exit | meaning | exit | meaning |
|---|---|---|---|
| 0 | patch made and its checks passed | 6 | credentials or model |
| 1 | bug in the program | 7 | sandbox |
| 2 | usage or configuration | 8 | issue, forge or pull request |
| 3 | no patch | 9 | batch finished partly |
| 4 | patch not verified | 130 / 143 | signal |
| 5 | limit reached, best patch kept | | |
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...tools import errors

OK, BUG, USAGE, NO_PATCH, NOT_VERIFIED, LIMIT, MODEL, SANDBOX, FORGE, PARTLY = range(10)
INTERRUPTED, TERMINATED = 130, 143

_CODES: tuple[tuple[type[errors.SweAgentError], int], ...] = (
    (errors.ModelError, MODEL),
    (errors.SandboxError, SANDBOX),
    (errors.ProjectError, SANDBOX),
    (errors.IssueError, FORGE),
    (errors.ForgeError, FORGE),
    (errors.BudgetExceeded, LIMIT),
    (errors.PatchError, NOT_VERIFIED),
    (errors.SweAgentError, USAGE),
)


def exit_code_of(error: BaseException) -> int:
    """The exit code that stands for `error`."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return BUG


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and never shows a traceback for a user's error
    (SWE_AGENT_TRACEBACK=1 shows it)."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import typer

    from ...agents.models.imports import install
    from .app import COMMANDS, app

    install()

    if "_SWE_AGENT_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()

    # typer carries its own click in newer versions: the class is taken from what it raises.
    usage_error: type[Any] = typer.BadParameter.__mro__[2]
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        defaults: dict[str, dict[str, object]] = {}
        if any(word in COMMANDS for word in arguments):
            from ..config import default_map, settings

            defaults = default_map(settings(_config_file(arguments), COMMANDS), COMMANDS)
        result = app(args=arguments, prog_name="swe-agent", standalone_mode=False, default_map=defaults)
        return result if isinstance(result, int) else OK
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except typer.Exit as error:
        return error.exit_code
    except usage_error as error:  # pyright: ignore[reportGeneralTypeIssues]
        error.show()
        return USAGE
    except errors.SweAgentError as error:
        if os.environ.get("SWE_AGENT_TRACEBACK"):
            raise
        from ...tools.excerpt import printable
        from ...tools.secrets import Masker, host_secrets

        line = Masker(host_secrets()).mask(" ".join(printable(str(error)).split()))
        print(f"swe-agent: {line}", file=sys.stderr)
        return exit_code_of(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _config_file(arguments: list[str]) -> Path | None:
    """Take `--config FILE` out of the arguments, wherever it stands."""
    for at, word in enumerate(arguments):
        if word == "--config" and at + 1 < len(arguments):
            path = Path(arguments[at + 1])
            del arguments[at : at + 2]
            return path
        if word.startswith("--config="):
            del arguments[at]
            return Path(word.removeprefix("--config="))
        if word == "--":
            return None
    return None


if __name__ == "__main__":
    raise SystemExit(main())
