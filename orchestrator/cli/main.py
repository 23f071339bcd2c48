"""main: runs a command and maps every error to its exit code (`exit_code.ExitCode`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...tools import errors
from ..exit_code import ExitCode, exit_code_of
from .interrupts import begun
from .machine_fault import machine_fault
from .usage import usage_line


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and never shows a traceback (SWE_AGENT_TRACEBACK=1 does): that
    of a bug is saved."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import typer

    from ...agents.models.imports import install
    from .app import COMMANDS, app

    install()

    if "_SWE_AGENT_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
        app(prog_name="swe-agent")

    # typer carries its own click in newer versions: the class is taken from what it raises.
    usage_error: type[Any] = typer.BadParameter.__mro__[2]
    arguments = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        begun()
        extra: dict[str, Any] = {}
        if any(word in COMMANDS for word in arguments):
            extra = _sources(_config_file(arguments))
        # not by calling app, which would make codes of its own of ^C and of a closed pipe
        command = typer.main.get_command(app)
        with command.make_context("swe-agent", arguments, **extra) as context:
            result = command.invoke(context)
        return result if isinstance(result, int) else ExitCode.OK
    except (typer.Abort, KeyboardInterrupt):
        print("swe-agent: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except typer.Exit as error:
        return error.exit_code
    except usage_error as error:  # pyright: ignore[reportGeneralTypeIssues]
        print(usage_line(error, arguments), file=sys.stderr)
        return ExitCode.USAGE
    except errors.SweAgentError as error:
        return _told(error, str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except OSError as error:  # a fault of the machine: a full disk, a folder that cannot be written
        return _told(error, machine_fault(error))
    # the last boundary: a bug is one line too, and says how to see more
    except Exception as error:
        return _told(error, f"a bug in swe-agent: {type(error).__name__}: {error} ({_saved(error)})")


def _told(error: Exception, words: str) -> ExitCode:
    """One line on stderr, without secrets; the exit code of `error`."""
    if os.environ.get("SWE_AGENT_TRACEBACK"):
        raise error
    from ...tools.excerpt import printable
    from ...tools.secrets import Masker, host_secrets

    print(f"swe-agent: {Masker(host_secrets()).mask(' '.join(printable(words).split()))}", file=sys.stderr)
    return exit_code_of(error)


def _saved(error: Exception) -> str:
    """Save the traceback, without secrets; says where it is."""
    import tempfile
    import traceback

    from ...tools.secrets import Masker, host_secrets

    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "swe-agent/tracebacks"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", suffix=".txt", prefix="traceback-", dir=home, delete=False, errors="replace"
        ) as file:
            file.write(Masker(host_secrets()).mask("".join(traceback.format_exception(error))))
    except OSError:
        return "SWE_AGENT_TRACEBACK=1 shows where"
    return f"its traceback is in {file.name}"


def _sources(config: Path | None) -> dict[str, Any]:
    """What a command gets from files and variables, once they are known to say nothing unknown.
    Raises: UsageError."""
    from ..settings.sources import PREFIX, check_keys, check_variables, settings_files
    from .app import WITH_SETTINGS, Keys, variables

    files = settings_files(config)
    check_keys(files, Keys())
    if any(name.startswith(PREFIX) for name in os.environ):
        check_variables(os.environ, variables())
    if not files:
        return {}
    from .options import Sources

    defaults: dict[str, dict[str, Any]] = {}
    for item in files:
        if item.command is not None and item.command not in WITH_SETTINGS:
            value = ",".join(map(str, item.value)) if isinstance(item.value, list) else item.value
            defaults.setdefault(item.command, {})[item.key.replace("-", "_")] = value
    return {"default_map": defaults, "obj": Sources(tuple(files))}


def _config_file(arguments: list[str]) -> Path | None:
    """Take `--config FILE` out of the arguments, wherever it stands."""
    for at, word in enumerate(arguments):
        if word == "--config":
            if at + 1 == len(arguments):
                raise errors.UsageError("option --config requires an argument: a file")
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
