"""help: how every command explains itself: plain sections, choices and defaults shown, no names of Python types."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

METAVARS = {int: "N", float: "N", Path: "PATH", str: "TEXT", tuple: "LIST", dict: "LIST"}


class CommandApp(typer.Typer):
    """A Typer whose commands and groups explain themselves so."""

    def __init__(self, *, help: str | None = None, cls: type[TyperGroup] | None = None) -> None:
        given: dict[str, Any] = {} if help is None else {"help": help}  # else the callback's own words
        super().__init__(
            cls=cls or PlainGroup,
            **given,
            add_completion=False,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def command(self, name: str | None = None, **given: Any) -> Any:
        return super().command(name, **{"cls": PlainCommand, **given})


class PlainCommand(TyperCommand):
    """A command whose help is plain text."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        found: list[Any] = [param for param in self.params if param.param_type_name == "argument"]
        return [
            "[OPTIONS]",
            *(_argument(param) if param.required else f"[{_argument(param)}]" for param in found),
        ]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        hints = get_type_hints(inspect.unwrap(self.callback)) if self.callback else {}
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            rows = list(_rows(self, kind, hints))
            if kind == "option":
                rows.append(("-h, --help", "Show this message and exit."))
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=30)


class PlainGroup(TyperGroup):
    """A group of commands; without one it says which there are."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            ctx.fail(f"say which: {', '.join(self.list_commands(ctx))}")
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, command.get_short_help_str(limit=200)) for name, command in commands if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def metavar_of(annotation: object) -> str:
    """What stands for the value of an option: N, PATH, TEXT, [a|b]; "" for a switch."""
    kinds = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) is Literal:
        return f"[{'|'.join(map(str, kinds))}]"
    if kinds:
        return metavar_of(kinds[0])
    return "" if annotation is bool else METAVARS.get(annotation, "TEXT")  # type: ignore[call-overload]


def _rows(command: TyperCommand, kind: str, hints: dict[str, object]) -> Iterator[tuple[str, str]]:
    for param in command.params:
        found: Any = param
        if found.param_type_name != kind or found.name == "help" or found.hidden:
            continue
        metavar = found.metavar or metavar_of(hints.get(found.name, str))
        if kind == "argument":
            yield metavar if metavar.startswith("[") else _argument(found), found.help or ""
            continue
        left = ", ".join(sorted(found.opts, key=len))
        if found.secondary_opts:
            left += f" / {found.secondary_opts[0]}"
        yield f"{left} {metavar}".rstrip(), f"{found.help or ''}{_remark(found)}".strip()


def _argument(param: Any) -> str:
    return param.name.rstrip("_").upper() + ("..." if param.nargs == -1 else "")


def _remark(option: Any) -> str:
    if option.required:
        return "  [required]"
    default = option.default
    if default is True and option.secondary_opts:
        return f"  [default: {option.opts[0].lstrip('-')}]"
    if isinstance(default, bool) or default in (None, "", [], ()):
        return ""
    return f"  [default: {default:g}]" if isinstance(default, float) else f"  [default: {default}]"
