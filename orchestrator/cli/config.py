"""`swe-agent config`: init, show, schema."""

from __future__ import annotations

from typing import Any

import typer

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Create, show or describe the configuration."
)


def _options() -> dict[str, tuple[Any, str]]:
    """Flags of `solve` that make sense as defaults: name → (default, help)."""
    from .solve import app as solve_app

    command: Any = typer.main.get_command(solve_app)
    once = {
        "issue",
        "text",
        "file",
        "instance",
        "example",
        "resume",
        "dry_run",
        "output",
        "patch",
        "repo",
        "base",
    }
    return {
        max(param.opts, key=len).lstrip("-"): (param.default, param.help)
        for param in command.params
        if param.name not in once and param.name != "help"
    }


@app.command()
def init(force: bool = typer.Option(False, "--force", help="Replace an existing file.")) -> int:
    """Write a commented config.toml with every default."""
    from ...tools.errors import UsageError
    from ..config import template, user_file

    path = user_file()
    if path.exists() and not force:
        raise UsageError(f"{path} exists already: edit it, or use --force")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template(_options()), encoding="utf-8")
    print(path)
    return 0


@app.command()
def show(origin: bool = typer.Option(False, "--origin", help="Say where each value comes from.")) -> int:
    """The defaults of `solve` as they are in force."""
    import os

    from ..config import settings
    from .app import COMMANDS

    values: dict[str, tuple[Any, str]] = {
        name: (value, "built in") for name, (value, _) in _options().items()
    }
    for setting in settings(None, COMMANDS):
        if setting.command in (None, "solve"):
            values[setting.key.replace("_", "-")] = (setting.value, setting.origin)
    for name in list(values):
        variable = "SWE_AGENT_" + name.upper().replace("-", "_")
        if variable in os.environ:
            values[name] = (os.environ[variable], variable)
    for name, (value, where) in values.items():
        print(f"{name} = {value!r}{f'  # {where}' if origin else ''}")
    return 0


@app.command()
def schema() -> int:
    """JSON Schema of config.toml."""
    import json

    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    properties = {
        name: {
            "description": help,
            **({"type": kinds[type(default)], "default": default} if default is not None else {}),
        }
        for name, (default, help) in _options().items()
    }
    print(
        json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": properties,
            },
            indent=2,
        )
    )
    return 0
