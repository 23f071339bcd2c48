"""Configuration files: where defaults of flags come from, and which file said what.

Order, later wins: the flag's own default, $XDG_CONFIG_HOME/swe-agent/config.toml, the file of `--config` (or
SWE_AGENT_CONFIG), SWE_AGENT_<FLAG> in the environment, the flag. Keys are flag names without dashes in
front; a table named after a command (`[batch]`) holds for that command alone.
A repository's own `.swe-agent.toml` may only say how it is set up and tested, and only with consent.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from ..tools.errors import UsageError

REPOSITORY_FILE = ".swe-agent.toml"
REPOSITORY_KEYS = ("test-cmd", "setup", "image", "ignore")


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of one file."""

    command: str | None
    """None: every command."""
    key: str
    value: Any
    origin: str


def user_file() -> Path:
    """$XDG_CONFIG_HOME/swe-agent/config.toml."""
    return user_config_path("swe-agent") / "config.toml"


def read_file(path: Path, commands: Iterable[str] = ()) -> list[Setting]:
    """The settings of a file; [] when it does not exist. Raises: UsageError naming the file and the fault."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    found: list[Setting] = []
    for key, value in data.items():
        if isinstance(value, dict):
            if key not in set(commands):
                raise UsageError(f"{path}: [{key}] is no command; tables are named after commands")
            found += [Setting(key, name, inner, str(path)) for name, inner in value.items()]
        else:
            found.append(Setting(None, key, value, str(path)))
    return found


def settings(extra: Path | None, commands: Iterable[str]) -> list[Setting]:
    """All settings in force from files, in the order in which they are applied.
    Raises: UsageError, also when the file of `--config` is not there."""
    names = list(commands)
    found = read_file(user_file(), names)
    if extra is None and os.environ.get("SWE_AGENT_CONFIG"):
        extra = Path(os.environ["SWE_AGENT_CONFIG"])
    if extra is not None:
        if not extra.exists():
            raise UsageError(f"--config {extra}: no such file")
        found += read_file(extra, names)
    return found


def default_map(found: Iterable[Setting], commands: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The shape click takes: command → parameter → default. Lists become comma-separated text."""
    result: dict[str, dict[str, Any]] = {name: {} for name in commands}
    for setting in found:
        value = ",".join(map(str, setting.value)) if isinstance(setting.value, list) else setting.value
        for name in [setting.command] if setting.command else list(result):
            result[name][setting.key.replace("-", "_")] = value
    return result


def repository_settings(repository: Path) -> tuple[dict[str, Any], list[str]]:
    """What a repository says of itself, and the keys it may not set. Raises: UsageError."""
    allowed: dict[str, Any] = {}
    refused: list[str] = []
    for setting in read_file(repository / REPOSITORY_FILE):
        if setting.key in REPOSITORY_KEYS:
            allowed[setting.key] = setting.value
        else:
            refused.append(setting.key)
    return allowed, refused


def template(options: Mapping[str, tuple[Any, str]]) -> str:
    """A commented config.toml with every flag of `solve` (name → default, help)."""
    lines = [
        "# Defaults of swe-agent. Remove the # of what you want to change; flags and SWE_AGENT_<FLAG> win.",
        "",
    ]
    for name, (default, help) in options.items():
        value = (
            "true" if default is True else "false" if default is False else repr(default).replace("'", '"')
        )
        lines += [f"# {help}", f"# {name} = {value if default is not None else '...'}", ""]
    return "\n".join(lines)
