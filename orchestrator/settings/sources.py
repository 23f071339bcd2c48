"""Configuration: where the values of settings come from, and who said what.

Order, later wins: the built-in default, $XDG_CONFIG_HOME/swe-agent/config.toml, the file of `--config` (or
SWE_AGENT_CONFIG), the environment, the flag. Keys are flags without dashes in front. What `solve` and `batch`
share stands at the top of a file and is SWE_AGENT_<FLAG> in the environment; what belongs to one command stands
in the table named after it (`[batch]`), which may hold shared keys too, and is SWE_AGENT_<COMMAND>_<FLAG>.
A repository's own `.swe-agent.toml` may only say how it is set up and tested, and only with consent.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...tools.errors import UsageError
from ...tools.files import reason_of
from .flag import Group, fields_of, flag_of, key_of
from .groups import Settings, is_shared
from .refusal import checked, nearest

S = TypeVar("S", bound=Group)

REPOSITORY_FILE = ".swe-agent.toml"
REPOSITORY_KEYS = ("test-cmd", "setup", "image", "ignore")
PREFIX = "SWE_AGENT_"
OWN_VARIABLES = (
    "SWE_AGENT_CONFIG",
    "SWE_AGENT_CACHE",
    "SWE_AGENT_CGROUP",
    "SWE_AGENT_TRACEBACK",
    "SWE_AGENT_NO_PYTHON_DOWNLOAD",
    "SWE_AGENT_TESTS",
)
"""Variables that stand for no flag."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of one file."""

    command: str | None
    """None: every command."""
    key: str
    value: Any
    origin: str

    @property
    def place(self) -> str:
        """How a message names it."""
        return f"{self.origin}: {f'[{self.command}] ' if self.command else ''}{self.key}"


@dataclass(frozen=True, slots=True)
class Value:
    """What a source says of a field."""

    value: Any
    name: str
    """As the user wrote it: `--samples`, `SWE_AGENT_SAMPLES`, `/home/me/config.toml: samples`."""
    origin: str


def user_file() -> Path:
    """$XDG_CONFIG_HOME/swe-agent/config.toml."""
    from platformdirs import user_config_path

    return user_config_path("swe-agent") / "config.toml"


def read_file(path: Path) -> list[Setting]:
    """The settings of a file; [] when it does not exist. Raises: UsageError naming the file and the fault."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {reason_of(error)}") from error
    found: list[Setting] = []
    for key, value in data.items():
        if isinstance(value, dict):
            found += [Setting(key, name, inner, str(path)) for name, inner in value.items()]
        else:
            found.append(Setting(None, key, value, str(path)))
    return found


def settings_files(extra: Path | None) -> list[Setting]:
    """All settings in force from files, in the order in which they are applied.
    Raises: UsageError, also when the file of `--config` is not there."""
    found = read_file(user_file())
    named = "--config"
    if extra is None and os.environ.get("SWE_AGENT_CONFIG"):
        extra, named = Path(os.environ["SWE_AGENT_CONFIG"]), "SWE_AGENT_CONFIG"
    if extra is not None:
        if not extra.exists():
            raise UsageError(f"{named} {extra}: no such file")
        found += read_file(extra)
    return found


def check_keys(found: Iterable[Setting], commands: Mapping[str, Iterable[str]]) -> None:
    """`commands`: the keys that each command takes. Raises: UsageError about the first key that nobody takes,
    with the nearest that somebody does."""
    shared = [key_of(name, field) for name, field in fields_of(Settings).items()]
    for item in found:
        if item.command is None:
            if item.key in shared:
                continue
            holders = [name for name, keys in commands.items() if item.key in keys]
            if holders:
                raise UsageError(
                    f"{item.place} belongs under {' or '.join(f'[{name}]' for name in holders)}: "
                    "it does not mean the same for every command"
                )
            raise UsageError(f"{item.place}: no such key{nearest(item.key, shared)}")
        if item.command not in commands:
            hint = nearest(item.command, commands)
            raise UsageError(
                f"{item.origin}: [{item.command}] is no command with settings: tables are named after "
                f"commands{hint}"
            )
        keys = list(commands[item.command])
        if item.key not in keys:
            raise UsageError(f"{item.place}: no such key{nearest(item.key, keys)}")


def check_variables(environment: Mapping[str, str], known: Iterable[str]) -> None:
    """`known` is read only as far as it takes. Raises: UsageError about the first SWE_AGENT_* variable that
    stands for nothing."""
    unknown = {name for name in environment if name.startswith(PREFIX)} - set(OWN_VARIABLES)
    if not unknown:
        return
    names: list[str] = list(OWN_VARIABLES)
    for name in known:
        names.append(name)
        unknown.discard(name)
        if not unknown:
            return
    variable = min(unknown)
    longer = [name for name in names if name.endswith("_" + variable.removeprefix(PREFIX))]
    hint = f"; did you mean {longer[0]}?" if longer else nearest(variable, names)
    raise UsageError(f"{variable} stands for no flag{hint} (unset it, or see `swe-agent config show`)")


def variable_of(command: str, name: str, key: str) -> str:
    """SWE_AGENT_<FLAG>, with the command's name where the flag is its own."""
    own = "" if is_shared(name) else command + "_"
    return PREFIX + (own + key).replace("-", "_").upper()


def collect(
    kind: type[Group], command: str, given: Mapping[str, object], files: Iterable[Setting]
) -> dict[str, Value]:
    """What the sources say of the fields of a command, by field; `given` are the flags that were used."""
    values: dict[str, Value] = {}
    by_key = {key_of(name, field): name for name, field in fields_of(kind).items()}
    for item in files:
        name = by_key.get(item.key)
        if item.command in (None, command) and name and not flag_of(kind.model_fields[name]).once:
            values[name] = Value(item.value, item.place, item.origin)
    for key, name in by_key.items():
        variable = variable_of(command, name, key)
        if os.environ.get(variable) and not flag_of(kind.model_fields[name]).once:
            values[name] = Value(os.environ[variable], variable, variable)
        if name in given:
            values[name] = Value(given[name], f"--{key}", "flag")
    return values


def resolve(kind: type[S], command: str, given: Mapping[str, object], files: Iterable[Setting]) -> S:
    """The settings of a command from all sources. Raises: UsageError that names the source of what is wrong."""
    values = collect(kind, command, given, files)
    fields = kind.model_fields

    def name_of(name: str) -> str:
        return values[name].name if name in values else f"--{key_of(name, fields[name])}"

    found = {name: item.value for name, item in values.items()}
    if "given" in fields:
        found["given"] = frozenset(given)
    return checked(kind, found, name_of)


_MODELS = ("model", "role_models", "fallback_models")


def origin_of_model(
    kind: type[Group], command: str, given: Mapping[str, object], files: Iterable[Setting], said: str
) -> str | None:
    """Where a model that a message names comes from, unless a flag named it."""
    found = collect(kind, command, given, files)
    for item in (found[name] for name in _MODELS if name in found):
        models = re.findall(r"[^\s,=:'\"\[\]{}]+/[^\s,'\"\[\]{}]+", str(item.value)) or [str(item.value)]
        if item.origin != "flag" and any(
            re.search(rf"(?<![\w/]){re.escape(m)}(?![\w/])", said) for m in models
        ):
            return f"from {item.name}"
    return None


def repository_settings(repository: Path) -> tuple[dict[str, Any], list[str]]:
    """What a repository says of itself, and the keys it may not set. Raises: UsageError."""
    allowed: dict[str, Any] = {}
    refused: list[str] = []
    for setting in read_file(repository / REPOSITORY_FILE):
        if setting.command is None and setting.key in REPOSITORY_KEYS:
            allowed[setting.key] = setting.value
        else:
            refused.append(f"[{setting.command}] {setting.key}" if setting.command else setting.key)
    return allowed, refused


def template() -> str:
    """A commented config.toml with every shared key."""
    lines = [
        "# Defaults of swe-agent. Remove the # of what you want to change; flags and SWE_AGENT_<FLAG> win.",
        "# What belongs to one command goes into a table: [solve], [batch], [eval].",
        "",
    ]
    for name, field in fields_of(Settings).items():
        value = toml_of(name, field.get_default(call_default_factory=True))
        lines += [f"# {flag_of(field).help}", f"# {key_of(name, field)} = {value}", ""]
    return "\n".join(lines)


def toml_of(name: str, value: object) -> str:
    """A value as people write it in TOML; `...` for none."""
    if name == "network":
        return '"on"' if value else '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return f'"{",".join(map(str, value))}"'
    if isinstance(value, dict):
        return f'"{",".join(f"{role}={model}" for role, model in value.items())}"'
    return "..." if value is None else json.dumps(str(value), ensure_ascii=False)


def schema(commands: Mapping[str, type[Group]]) -> dict[str, object]:
    """JSON Schema of config.toml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **_properties(Settings),
            **{
                command: {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": _properties(kind),
                }
                for command, kind in commands.items()
            },
        },
    }


def _properties(kind: type[Group]) -> dict[str, object]:
    found = kind.model_json_schema()["properties"]
    properties: dict[str, object] = {}
    for name, field in fields_of(kind).items():
        flag = flag_of(field)
        if flag.once:
            continue
        properties[key_of(name, field)] = {**found[name], "description": flag.help}
    return properties
