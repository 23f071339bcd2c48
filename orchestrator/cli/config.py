"""`swe-agent config`: init, show, schema."""

from __future__ import annotations

from typing import Literal

import typer

from .help import CommandApp

app = CommandApp(help="Create, show or describe the configuration.")


@app.command()
def init(force: bool = typer.Option(False, "--force", help="Replace an existing file.")) -> int:
    """Write a commented config.toml with every default."""
    from ...tools.errors import UsageError
    from ...tools.files import write_atomically
    from ..settings.sources import template, user_file

    path = user_file()
    if path.exists() and not force:
        raise UsageError(f"{path} exists already: edit it, or use --force")
    try:
        write_atomically(path, template())
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    print(path)
    return 0


@app.command()
def show(
    context: typer.Context,
    command: Literal["solve", "batch", "eval"] = typer.Argument("solve", help="Whose defaults."),
    origin: bool = typer.Option(False, "--origin", help="Say where each value comes from."),
) -> int:
    """The defaults of a command as they are in force."""
    from ..settings.flag import fields_of, flag_of, key_of
    from ..settings.sources import collect, toml_of
    from .app import settings_of
    from .options import Sources

    kind = settings_of(command)
    files = context.obj.files if isinstance(context.obj, Sources) else ()
    said = collect(kind, command, {}, files)
    for name, field in fields_of(kind).items():
        if flag_of(field).once:
            continue
        default = field.get_default(call_default_factory=True)
        value, where = (said[name].value, said[name].origin) if name in said else (default, "built in")
        print(f"{key_of(name, field)} = {toml_of(name, value)}{f'  # {where}' if origin else ''}")
    return 0


@app.command()
def schema() -> int:
    """JSON Schema of config.toml."""
    import json

    from ..settings.sources import schema as schema_of
    from .app import WITH_SETTINGS, settings_of

    print(json.dumps(schema_of({name: settings_of(name) for name in WITH_SETTINGS}), indent=2))
    return 0
