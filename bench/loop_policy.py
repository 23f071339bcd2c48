"""Policies of the loop's server: what each is asked and says; and a teacher that knows each task's line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from loop_tasks import Task

_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.S)


@dataclass(frozen=True, slots=True)
class Asked:
    """One chat completion that is wanted."""

    messages: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]]
    temperature: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Call:
    """`arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. Token ids and logprobs (natural, of the model's own distribution at temperature 1) are those that
    were sampled; empty where a program answered."""

    text: str
    calls: Sequence[Call] = ()
    cut: bool = False
    prompt_ids: Sequence[int] = ()
    ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()


class Policy(Protocol):
    def answer(self, asked: Asked) -> Said: ...

    def close(self) -> None: ...


class Teacher:
    """Reads the file, edits the line, runs the tests, finishes."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks

    def answer(self, asked: Asked) -> Said:
        shown = next(str(message["content"]) for message in asked.messages if message["role"] == "user")
        task = next(task for task in self._tasks if task.issue in shown)
        turn = sum(message["role"] == "assistant" for message in asked.messages)
        edit = {"oldText": task.wrong, "newText": task.right}
        steps: list[tuple[str, dict[str, Any]]] = [
            ("readFile", {"path": task.path}),
            ("editFile", {"path": task.path, "edits": [edit]}),
            ("runTests", {}),
            ("finish", {"summary": f"{task.path} is mended and the tests pass."}),
        ]
        name, arguments = steps[min(turn, 3)]
        return Said("", [Call(name, json.dumps(arguments))])

    def close(self) -> None:
        pass


def read_calls(said: str) -> tuple[str, list[Call]]:
    """The text before the first call, and the calls that can be read; all is text where one cannot."""
    calls: list[Call] = []
    for found in _CALL.finditer(said):
        try:
            call = json.loads(found[1])
            calls.append(Call(str(call["name"]), json.dumps(call.get("arguments", {}))))
        except (ValueError, KeyError, TypeError, AttributeError):
            return said, []
    return (said[: said.index("<tool_call>")].strip(), calls) if calls else (said, [])
