"""Step: a message of a run, laid out for reading."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..record.events import Called, Said

_MARKED = re.compile(r'<data source="([^"\n]*)">\n(.*?)\n</data>', re.DOTALL)
FOLD = 1200
"""Characters of a text that are shown unfolded."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text; `source` names who wrote it where the message marks it as data, else ""."""

    text: str
    source: str = ""

    @property
    def long(self) -> bool:
        return len(self.text) > FOLD

    @property
    def head(self) -> str:
        return " ".join(self.text[:400].split())[:120]


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    text: str
    diff: bool = False


@dataclass(frozen=True, slots=True)
class CallShown:
    name: str
    arguments: tuple[Argument, ...]


@dataclass(slots=True)
class RunStep:
    number: int
    id: str
    node: str
    agent: str
    """The role of whoever speaks: `coder`."""
    role: str
    """system, user, assistant or tool."""
    name: str
    blocks: list[Block]
    reasoning: str
    calls: list[CallShown]
    error: str | None
    call: Called | None = None
    duration_s: float | None = None
    """Of the tool; None: not known."""


def step_of(said: Said, number: int) -> RunStep:
    return RunStep(
        number=number,
        id=said.id,
        node=said.node,
        agent=said.agent.partition(":")[0],
        role=said.role,
        name=said.name or "",
        blocks=blocks_of(said.content or ""),
        reasoning=said.reasoning or "",
        calls=[_call(item) for item in said.tool_calls],
        error=said.error,
    )


def blocks_of(content: str) -> list[Block]:
    """A message cut at its `<data>` marks, which are taken off."""
    blocks: list[Block] = []
    end = 0
    for match in _MARKED.finditer(content):
        blocks.append(Block(content[end : match.start()].strip("\n")))
        blocks.append(Block(match[2].replace("<\\/data", "</data"), match[1]))
        end = match.end()
    blocks.append(Block(content[end:].strip("\n")))
    return [block for block in blocks if block.text]


def _call(call: Any) -> CallShown:
    function = call.get("function") or {}
    raw = str(function.get("arguments") or "")
    try:
        values = json.loads(raw or "{}")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return CallShown(str(function.get("name", "")), (Argument("", raw),))
    return CallShown(
        str(function.get("name", "")),
        tuple(part for name, value in values.items() for part in _argument(name, value)),
    )


def _argument(name: str, value: Any) -> list[Argument]:
    """An argument as people write it: edits as a diff, lists by line."""
    if isinstance(value, str):
        return [Argument(name, value)]
    if (
        isinstance(value, list)
        and value
        and all(isinstance(item, dict) and "newText" in item for item in value)
    ):
        return [Argument(name, "\n".join(map(_edit, value)), diff=True)]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [Argument(name, "\n".join(value))]
    return [Argument(name, json.dumps(value, ensure_ascii=False))]


def _edit(edit: dict[str, Any]) -> str:
    lines = [f"-{line}" for line in str(edit.get("oldText", "")).rstrip("\n").split("\n")]
    return "\n".join([*lines, *(f"+{line}" for line in str(edit["newText"]).rstrip("\n").split("\n"))])
