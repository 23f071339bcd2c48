"""The command table. Commands are imported only when called, so `--help` stays cheap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer

from .help import CommandApp, PlainGroup

if TYPE_CHECKING:
    from ..settings import Group

COMMANDS = {
    "solve": "Solve one issue: from a URL, a text, a file or a dataset instance.",
    "verify": "Judge a patch with no model: what it fixes and breaks.",
    "batch": "Solve many instances of a dataset, resumably.",
    "eval": "Grade predictions against a dataset.",
    "export": "Turn runs into training data or predictions.",
    "import": "Turn trajectories of other programs into records.",
    "reward": "Recompute the rewards of a run from its record.",
    "train": "Train on an export with TRL.",
    "cache": "List or clean cached environments.",
    "runs": "List, show, compare, remove or clean up runs.",
    "apply": "Apply the patch of a run to your checkout, or undo it.",
    "acp": "Serve an editor over the Agent Client Protocol.",
    "mcp": "Serve other agents over the Model Context Protocol.",
    "ci": "Steps of an automation: a labelled issue becomes a pull request.",
    "pr": "Open a pull request with the patch of a run.",
    "report": "Write one offline HTML page about a run or a batch.",
    "view": "Serve pages of runs and batches on this machine, live.",
    "replay": "Run a recorded run again with no model.",
    "config": "Create, show or describe the configuration.",
    "doctor": "Check this machine: sandboxes, git, model keys.",
    "completion": "Print the completion script of a shell.",
}
"""Name → one line. `swe_agent.orchestrator.cli.<name>` holds `app`, a Typer with that command
(module names with a trailing underscore where the name is taken: `eval_`, `import_`)."""
WITH_SETTINGS = ("solve", "batch", "eval")
"""Commands whose options are fields: their modules hold `SETTINGS`."""


def module_of(name: str) -> Any:
    return import_module(f"{__package__}.{name}{'_' if name in ('eval', 'import') else ''}")


def settings_of(name: str) -> type[Group]:
    """The settings of a command that has them."""
    return module_of(name).SETTINGS


def command_of(name: str) -> Any:
    """The command, its variables named."""
    command = typer.main.get_command(module_of(name).app)
    command.name = name
    if name not in WITH_SETTINGS:
        for param, key in _own_options(command, name):
            param.envvar = "SWE_AGENT_" + key.replace("-", "_").upper()
    return command


def _own_options(command: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Options of a command and its subcommands, with the key that is theirs alone: `export-split`."""
    for param in command.params:
        if param.param_type_name == "option" and param.name != "help":
            yield param, f"{path}-{max(param.opts, key=len).lstrip('-')}"
    children: Iterable[tuple[str, Any]] = getattr(command, "commands", {}).items()
    for name, child in children:
        yield from _own_options(child, f"{path}-{name}")


class Keys(Mapping[str, tuple[str, ...]]):
    """Command → the keys that it takes in config.toml; commands are imported when they are asked for."""

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name in WITH_SETTINGS:
            from ..settings.flag import fields_of, flag_of, key_of

            fields = fields_of(settings_of(name)).items()
            return tuple(key_of(key, field) for key, field in fields if not flag_of(field).once)
        if name not in COMMANDS:
            raise KeyError(name)
        return tuple(key.removeprefix(f"{name}-") for _, key in _own_options(command_of(name), name))

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def variables() -> Iterator[str]:
    """Every SWE_AGENT_* variable that stands for a flag."""
    from ..settings.flag import fields_of, flag_of, key_of
    from ..settings.sources import variable_of

    for name in COMMANDS:
        if name in WITH_SETTINGS:
            for key, field in fields_of(settings_of(name)).items():
                if not flag_of(field).once:
                    yield variable_of(name, key, key_of(key, field))
        else:
            for param, _ in _own_options(command_of(name), name):
                yield param.envvar


class LazyGroup(PlainGroup):
    """A group that knows its commands by the table and imports one when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return command_of(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else "see `swe-agent --help`"
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = CommandApp(cls=LazyGroup)


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
