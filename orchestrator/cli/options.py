"""Options of a command from the fields of its settings: parsing, `--help` in groups, completion of values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import typer

from ...tools.errors import CredentialsError
from ..settings.flag import Group, bare, choices_of, duration, fields_of, flag_of, group_of, key_of
from ..settings.sources import Setting, origin_of_model, resolve
from .help import METAVARS, PlainCommand
from .names import model_names, run_names

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

S = TypeVar("S", bound=Group)

_CHOICES_CHARS = 50
"""Of choices that stand beside the flag; longer lists stand in its help."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What `main` hands to a command: the settings in files."""

    files: tuple[Setting, ...] = ()


def settings_command(
    app: typer.Typer, kind: type[S], name: str
) -> Callable[[Callable[[S], int]], Callable[[S], int]]:
    """Make a function of settings the command `name` of `app`; its docstring is the help."""

    def register(run: Callable[[S], int]) -> Callable[[S], int]:
        def command(context: typer.Context, **given: Any) -> int:
            files = context.obj.files if isinstance(context.obj, Sources) else ()
            used = {key: value for key, value in given.items() if value not in (None, [], ())}
            settings = resolve(kind, name, used, files)
            try:
                return run(settings)
            except CredentialsError as error:
                where = origin_of_model(kind, name, used, files, str(error))
                raise CredentialsError(f"{error} ({where})") if where else error from None

        command.__doc__ = run.__doc__
        command.__annotations__ = {}
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
                *(_parameter(field_name, field) for field_name, field in fields_of(kind).items()),
            ]
        )
        app.command(name, cls=type("SettingsCommand", (GroupedCommand,), {"settings": kind}))(command)
        return run

    return register


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    flag = flag_of(field)
    long = f"--{key_of(name, field)}"
    kind = bare(field.annotation)
    switch = kind is bool and not flag.choices
    annotation: Any = bool | None if switch else list[str] | None if get_origin(kind) is list else str | None
    if flag.argument:
        return inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=typer.Argument(None, help=flag.help, autocompletion=run_names),
            annotation=list[str] | None,
        )
    if switch and not flag.once:
        long += f"/--no-{key_of(name, field)}"
    option = typer.Option(
        None,
        *([flag.short] if flag.short else []),
        long,
        help=flag.help,
        show_default=False,
        autocompletion=_completion(name, field),
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation)


def _completion(name: str, field: FieldInfo) -> Callable[[str], list[str]] | None:
    choices = choices_of(field)
    if name == "resume":
        return run_names
    if name == "model":
        return model_names
    return (
        (lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)])
        if choices
        else None
    )


class GroupedCommand(PlainCommand):
    """A command whose help lists its options in groups, with choices and defaults."""

    settings: type[Group]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, rows in _sections(self.settings):
            with formatter.section(title):
                formatter.write_dl(rows, col_max=30)
        with formatter.section("Other"):
            formatter.write_dl(
                [("--config FILE", "Defaults from this file, over those of config.toml."),
                 ("-h, --help", "Show this message and exit.")],
                col_max=30,
            )  # fmt: skip


def _sections(kind: type[Group]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    plain: dict[str, list[tuple[str, str]]] = {}
    advanced: list[tuple[str, str]] = []
    titles = [base.title for base in reversed(kind.__mro__) if "title" in vars(base) and base.title]
    for name, field in fields_of(kind).items():
        if flag_of(field).argument:
            yield "Arguments", [(f"[{name.upper()}]...", flag_of(field).help)]
            continue
        row = _row(name, field)
        if flag_of(field).advanced:
            advanced.append(row)
        else:
            plain.setdefault(flag_of(field).group or group_of(kind, name).title, []).append(row)
    for title in dict.fromkeys([*titles, *plain]):
        if title in plain:
            yield title, plain[title]
    if advanced:
        yield "Advanced", advanced


def _row(name: str, field: FieldInfo) -> tuple[str, str]:
    flag = flag_of(field)
    kind = bare(field.annotation)
    left = f"{flag.short}, " if flag.short else ""
    left += f"--{key_of(name, field)}"
    choices = choices_of(field)
    default = field.get_default(call_default_factory=True)
    said = flag.help
    if choices and len("|".join(choices)) > _CHOICES_CHARS:
        left, said = f"{left} NAME", f"{said} One of {', '.join(choices)}."
    elif choices:
        left += f" [{'|'.join(choices)}]"
    elif kind is not bool:
        timed = any(getattr(item, "func", None) is duration for item in field.metadata) or any(
            getattr(item, "func", None) is duration
            for part in get_args(field.annotation)
            for item in getattr(part, "__metadata__", ())
        )
        left += f" {flag.metavar or ('TIME' if timed else METAVARS.get(get_origin(kind) or kind, 'TEXT'))}"
    shown = flag.shown
    if not shown and choices and kind is bool:
        shown = choices[bool(default)]
    elif not shown and kind is not bool and default not in (None, (), {}, "", []):
        shown = f"{default:g}" if isinstance(default, int | float) else str(default)
    return left, f"{said}  [default: {shown}]" if shown else said
