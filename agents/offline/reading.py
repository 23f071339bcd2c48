"""Reading: what the offline repair model understands of the messages it is given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, UserMessage

from ...prompts import unmarked

_BAD = re.compile(r"^(?:FAILED|ERROR) (\S.*)$", re.MULTILINE)
_BROKEN_LINE = re.compile(r"^BROKEN (\S.*)$", re.MULTILINE)
_BROKEN = re.compile(r"^BROKEN by your change: (\d+): (.+)$", re.MULTILINE)
_FIXED = re.compile(r"^fixed \(failed before your change\): (\d+): (.+)$", re.MULTILINE)
_LACKING = re.compile(
    r"^ERROR (\S.*)\n(?:(?!FAILED |ERROR ).*\n)*?.*\bModuleNotFoundError: No module named", re.MULTILINE
)
_KILLED = "The run was killed at its time limit"


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call of the current turn with its result."""

    name: str
    arguments: Mapping[str, object]
    text: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """The current turn: what it is about and what was done so far. Earlier turns are left out."""

    task: str
    steps: Sequence[Step] = field(default_factory=tuple)
    messages: int = 0
    """Messages of the whole conversation, for ids of calls."""

    def of(self, name: str) -> list[Step]:
        return [step for step in self.steps if step.name == name]


def read_turn(messages: Sequence[LLMMessage]) -> Turn:
    """The turn that the next message belongs to: everything after the last accepted `finish`."""
    tasks: list[str] = []
    steps: list[Step] = []
    pending: dict[str, tuple[str, Mapping[str, object]]] = {}
    for message in messages:
        if isinstance(message, UserMessage):
            tasks.append(message.content if isinstance(message.content, str) else "")
        elif isinstance(message, AssistantMessage) and isinstance(message.content, list):
            pending = {call.id: (call.name, _arguments(call.arguments)) for call in message.content}
        elif isinstance(message, FunctionExecutionResultMessage):
            for result in message.content:
                name, arguments = pending.get(result.call_id, (result.name, {}))
                step = Step(name, arguments, unmarked(result.content), not result.is_error)
                if step.name == "finish" and step.ok:
                    tasks, steps = [], []
                else:
                    steps.append(step)
    return Turn("\n".join(tasks), tuple(steps), len(messages))


def _arguments(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def failing_in(text: str) -> list[str]:
    """Ids of lines `FAILED <id>` or `ERROR <id>`, without repeats, in order."""
    outside = re.sub(r"<data source=.*?</data>", "", text, flags=re.DOTALL)
    return list(dict.fromkeys(line.strip() for line in _BAD.findall(outside)))


def broken_in(text: str) -> list[str]:
    """Ids of lines `BROKEN <id>`."""
    return list(
        dict.fromkeys(line.strip() for line in _BROKEN_LINE.findall(text) if "by your change" not in line)
    )


@dataclass(frozen=True, slots=True)
class RunSeen:
    """What the text of a runTests result says."""

    failing: tuple[str, ...]
    broken: int
    fixed: int
    killed: bool
    compared: bool
    """Whether it was told against a baseline."""
    lacking: frozenset[str] = frozenset()
    """Failing tests that cannot be imported because a module is not installed."""


def read_run(text: str) -> RunSeen:
    text = text.partition("\noutput (ends):")[0]  # the runner's own summary has lines of the same form
    killed = _KILLED in text
    broken, fixed = _BROKEN.search(text), _FIXED.search(text)
    compared = bool(broken or fixed) or "against the unmodified repository" in text or "failed before" in text
    return RunSeen(
        tuple(failing_in(text)),
        0 if killed or broken is None else int(broken.group(1)),
        0 if fixed is None else int(fixed.group(1)),
        killed,
        compared,
        frozenset(match[1].strip() for match in _LACKING.finditer(text)),
    )


def proposals_in(step: Step) -> list[dict[str, Any]]:
    """Ranked proposals of a proposeRepairs result: [{rank, template, edits: [{path, edits}]}]."""
    try:
        value = json.loads(step.text)
    except (ValueError, RecursionError):
        return []
    found = value.get("proposals") if isinstance(value, dict) else None
    return [p for p in found if isinstance(p, dict) and p.get("edits")] if isinstance(found, list) else []


def message_in(step: Step) -> str:
    """What a proposeRepairs result says of a search that found nothing, "" when it says nothing."""
    try:
        value = json.loads(step.text)
    except (ValueError, RecursionError):
        return ""
    said = value.get("message") if isinstance(value, dict) else None
    return said if isinstance(said, str) else ""
