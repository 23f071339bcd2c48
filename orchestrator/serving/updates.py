"""Updates: the events of a run as an editor shows them (ACP `session/update`): a plan, tool calls, thoughts, usage.
https://agentclientprotocol.com
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from acp import helpers
from acp.schema import Cost, PlanEntry, SessionInfoUpdate, ToolCallLocation, UsageUpdate

from ..record.event import Line, read
from ..record.events import Called, RunStarted, Said
from ..record.told import CandidateSeen, Notice

ToolKind = Literal["read", "edit", "search", "execute", "think", "other"]
KINDS: dict[str, ToolKind] = {
    "readFile": "read", "outline": "read", "listFiles": "search", "findFiles": "search", "search": "search",
    "editFile": "edit", "writeFile": "edit", "runTests": "execute", "shell": "execute", "proposeRepairs": "think",
    "finish": "think",
}  # fmt: skip
STEPS = (
    "Copy the repository and set up its environment",
    "Find a test that shows the issue",
    "Write a patch, with its tests run on a fork",
    "Check the patch alone on a clean base",
)
_REACHED = {"run_started": 0, "baseline": 1, "reproduction": 2, "candidate": 2, "hygiene": 2, "outcome": 4}
_RESULT_CHARS = 8000


@dataclass(slots=True)
class Updates:
    """Turns events into updates, in order. `root`: the checkout, for absolute paths."""

    root: Path
    context_tokens: int = 0
    """Size of the model's window, where known."""
    _step: int = -1
    _cost: float | None = 0.0
    _used: int = 0
    _open: dict[str, str] = field(default_factory=dict[str, str])
    """Call id of a model's answer → id of the tool call in the editor."""

    def of(self, type: str, fields: Line) -> Iterator[Any]:
        """The updates that an event, or what else a listener is told, calls for."""
        step = 3 if type == "progress" and fields.get("line") == "final check" else _REACHED.get(type)
        if step is not None and step > self._step:
            self._step = step
            yield self.plan()
        handler = getattr(self, f"_on_{type}", None)
        if handler is not None:
            yield from handler(read({"type": type, **fields}) or fields)

    def plan(self, *, ended: bool = False) -> Any:
        """The steps and where the run is."""
        return helpers.update_plan([self._entry(at, text, ended) for at, text in enumerate(STEPS)])

    def _entry(self, at: int, text: str, ended: bool) -> PlanEntry:
        status: Literal["completed", "in_progress", "pending"] = (
            "completed" if at < self._step else "in_progress" if at == self._step and not ended else "pending"
        )
        return helpers.plan_entry(text, priority="high" if at > 1 else "medium", status=status)

    def _on_run_started(self, event: RunStarted) -> Iterator[Any]:
        yield SessionInfoUpdate(
            session_update="session_info_update", title=str(event.issue.get("title") or "")[:80]
        )

    def _on_message(self, event: Said) -> Iterator[Any]:
        if event.role == "tool":
            yield from self._done(event)
        elif event.sampled:
            yield from self._answer(event)

    def _answer(self, event: Said) -> Iterator[Any]:
        text = (event.reasoning or event.content).strip()
        if text:
            yield helpers.update_agent_thought_text(f"{_role(event)}: {text}\n")
        for call in event.tool_calls:
            function = call.get("function") or {}
            name, id = str(function.get("name") or ""), f"{event.id}/{call.get('id')}"
            self._open[str(call.get("id"))] = id
            arguments = _arguments(function.get("arguments"))
            yield helpers.start_tool_call(
                id,
                _title(_role(event), name, arguments),
                kind=KINDS.get(name, "other"),
                status="in_progress",
                locations=self._locations(arguments),
                raw_input=arguments,
            )

    def _done(self, event: Said) -> Iterator[Any]:
        id = self._open.pop(str(event.tool_call_id), None)
        if id is None:
            return
        text = event.content[:_RESULT_CHARS]
        yield helpers.update_tool_call(
            id,
            status="failed" if event.error else "completed",
            content=[helpers.tool_content(helpers.text_block(text))],
        )

    def _on_call(self, event: Called) -> Iterator[Any]:
        usage = event.usage
        cost = usage.get("cost_usd")
        known = self._cost is not None and (cost is not None or not event.is_llm)
        self._cost = (self._cost or 0.0) + (cost or 0.0) if known else None
        self._used = sum(usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens"))
        if self.context_tokens:
            spent = None if self._cost is None else Cost(amount=self._cost, currency="USD")
            yield UsageUpdate(
                session_update="usage_update", used=self._used, size=self.context_tokens, cost=spent
            )

    def _on_candidate(self, told: CandidateSeen) -> Iterator[Any]:
        yield helpers.update_agent_message_text(f"Candidate {told['node']}: {told['summary']}\n\n")

    def _on_warning(self, told: Notice) -> Iterator[Any]:
        yield helpers.update_agent_message_text(f"Warning: {told['line']}\n\n")

    def _locations(self, arguments: Mapping[str, object]) -> list[ToolCallLocation] | None:
        path = arguments.get("path")
        if not isinstance(path, str) or not path:
            return None
        return [ToolCallLocation(path=str(self.root / path))]


def _role(event: Said) -> str:
    return event.agent.partition(":")[0].capitalize()


def _arguments(raw: Any) -> dict[str, object]:
    import json

    if isinstance(raw, Mapping):
        return dict(raw)
    try:
        value = json.loads(raw or "{}")
    except (TypeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _title(role: str, name: str, arguments: Mapping[str, object]) -> str:
    what = " ".join(
        str(arguments[key]) for key in ("path", "query", "command", "tests") if arguments.get(key)
    )
    return " ".join(f"{role}: {name} {what}".split())[:120]
