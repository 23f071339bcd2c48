"""RoleChange: what a role file (`--role-file`, TOML) changes of a role without Python.

```toml
[coder]
prompt = "coder.md"            # beside this file; a template as in prompts/
add-tools = ["countLines"]     # of installed packages
[critic]
tools = ["readFile", "diff"]   # in place of its own
[tester]
use = "careful-tester"         # a role of an installed package
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from .flag import ROLES
from .refusal import nearest

if TYPE_CHECKING:
    from ...agents.roles import Role

_KEYS = ("prompt", "tools", "add-tools", "use")


class RoleChange(BaseModel):
    """One table of the file, the prompt read: a resumed run and a batch's workers need no file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = ""
    tools: tuple[str, ...] | None = None
    add_tools: tuple[str, ...] = ()
    use: str = ""


def roles_of_file(value: object) -> object:
    """The tables of a file by role; what is no path is left as it is. Raises: ValueError."""
    if not isinstance(value, str | Path):
        return value
    if not str(value):
        return {}
    path = Path(value).expanduser()
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(getattr(error, "strerror", None) or str(error)) from error
    return {role: _change(path, role, table) for role, table in tables.items()}


def _change(path: Path, role: str, table: Any) -> RoleChange:
    if role not in ROLES or not isinstance(table, dict):
        raise ValueError(f"[{role}] is no role{nearest(role, ROLES)}: choose from {', '.join(ROLES)}")
    for key, value in table.items():
        if key not in _KEYS:
            raise ValueError(f"[{role}] {key}: no such key{nearest(key, _KEYS)}")
        text = key in ("prompt", "use")
        if not (isinstance(value, str) if text else _is_names(value)):
            raise ValueError(f"[{role}] {key} must be {'text' if text else 'a list of names'}")
    change = RoleChange(
        prompt=_prompt(path, role, table["prompt"]) if "prompt" in table else "",
        tools=tuple(table["tools"]) if "tools" in table else None,
        add_tools=tuple(table.get("add-tools", ())),
        use=table.get("use", ""),
    )
    check(role, change)
    return change


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _prompt(path: Path, role: str, name: str) -> str:
    file = path.parent / Path(name).expanduser()
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"[{role}] prompt {file}: {getattr(error, 'strerror', None) or error}") from error
    from jinja2 import TemplateError

    from ...prompts import render_text

    try:
        render_text(text, **dict.fromkeys(VALUES, ""))
    except TemplateError as error:
        raise ValueError(f"[{role}] prompt {file}: {error}; it may use {', '.join(VALUES)}") from error
    return text


VALUES = ("root", "reproduction_path")
"""What a role's template is given."""


def check(role: str, change: RoleChange) -> None:
    """Whether everything that is named is there and fit for the role. Raises: ValueError, UsageError."""
    from ...tools.errors import UsageError
    from ...tools.plugins import installed, load
    from ...tools.toolbox.tool import ToolPlugin
    from ...tools.toolbox.toolbox import NAMES

    try:
        place = _place(role, change)
        known = (*NAMES, *installed("tools"))
        for name in (*(place.tools if change.tools is None else change.tools), *change.add_tools):
            if name not in known:
                raise ValueError(f"[{role}] {name}: no such tool{nearest(name, known)}")
            writes = name in ("writeFile", "editFile", "undo")
            if name not in NAMES:
                writes = load("tools", name, ToolPlugin).mutates
            if writes and not place.writes:
                raise ValueError(f"[{role}] {name} changes files, and the {role} may not")
    except UsageError as error:
        raise ValueError(f"[{role}] {error}") from error


def changed(role: str, changes: Mapping[str, RoleChange]) -> Role:
    """The role as the file has it. Raises: UsageError when what it names is not installed any more."""
    from dataclasses import replace

    from ...agents.roles import ROLES as BY_NAME

    change = changes.get(role)
    if change is None:
        return BY_NAME[role]
    place = _place(role, change)
    tools = place.tools if change.tools is None else change.tools
    tools = tuple(dict.fromkeys((*tools, *change.add_tools)))
    return replace(place, tools=tools, prompt=change.prompt or place.prompt)


def _place(role: str, change: RoleChange) -> Role:
    """The role before its tools and prompt are changed. Raises: UsageError."""
    from ...agents.roles import ROLES as BY_NAME
    from ...agents.roles import Role, stand_in
    from ...tools.plugins import load

    return stand_in(role, load("roles", change.use, Role)) if change.use else BY_NAME[role]
