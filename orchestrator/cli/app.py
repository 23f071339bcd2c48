"""The command table. Commands are imported only when called, so `--help` stays cheap."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "solve": "Solve one issue: from a URL, a text, a file or a dataset instance.",
    "batch": "Solve many instances of a dataset, resumably.",
    "eval": "Grade predictions against a dataset.",
    "export": "Turn runs into training data or predictions.",
    "reward": "Recompute the rewards of a run from its record.",
    "train": "Train on an export with TRL.",
    "cache": "List or clean cached environments.",
    "runs": "List, show, remove or clean up runs.",
    "apply": "Apply the patch of a run to your checkout, or undo it.",
    "ci": "Steps of an automation: a labelled issue becomes a pull request.",
    "pr": "Open a pull request with the patch of a run.",
    "report": "Write one offline HTML page about a run.",
    "replay": "Run a recorded run again with no model.",
    "config": "Create, show or describe the configuration.",
    "doctor": "Check this machine: sandboxes, git, model keys.",
    "completion": "Print the completion script of a shell.",
}
"""Name → one line. `swe_agent.orchestrator.cli.<name>` holds `app`, a Typer with that command
(module names with a trailing underscore where the name is taken: `eval_`)."""


class LazyGroup(TyperGroup):
    """A group that knows its commands by the table and imports one when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = f"{__package__}.{cmd_name}{'_' if cmd_name == 'eval' else ''}"
        command = typer.main.get_command(import_module(module).app)
        command.name = cmd_name
        _name_environment(command)
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _name_environment(command: Any) -> None:
    """Every flag has SWE_AGENT_<FLAG>."""
    for param in command.params:
        if getattr(param, "opts", None) and param.param_type_name == "option" and not param.envvar:
            longest = max(param.opts, key=len)
            if longest != "--help":
                param.envvar = "SWE_AGENT_" + longest.lstrip("-").replace("-", "_").upper()
    children: Iterable[Any] = getattr(command, "commands", {}).values()
    for child in children:
        _name_environment(child)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from ... import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_version
    ),
) -> None:
    """A multi-agent coding agent: an issue becomes a verified patch, and every run training data."""
