"""Recorder: writes what happens in a run to its event log, and hears calls and turns for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from dataclasses import fields as dataclass_fields
from typing import Any

from ...agents.message import Message
from ...agents.models.calls import Call
from ...agents.models.prompt_digest import picture_name
from ...tools.toolbox.tool import ToolResult
from .events import EventLog
from .journal import RunJournal
from .tokens import TokenLedger

Listener = Callable[[str, Mapping[str, Any]], None]
"""Told of each event after it is on disk: the screen and the JSON stream."""


@dataclass(slots=True)
class Totals:
    """What the model calls of a run came to. A sum that misses a part is None: null is never 0."""

    calls: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_usd: float | None = 0.0
    by_role: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def add(self, role: str, usage: Mapping[str, Any], *, is_llm: bool) -> None:
        self.calls += 1
        self.prompt_tokens = _plus(self.prompt_tokens, usage["prompt_tokens"])
        self.completion_tokens = _plus(self.completion_tokens, usage["completion_tokens"])
        cost = usage["cost_usd"] if is_llm else usage["cost_usd"] or 0.0
        self.cost_usd = _plus(self.cost_usd, cost)
        mine = self.by_role.setdefault(role, {"calls": 0, "cost_usd": 0.0})
        mine["calls"] += 1
        mine["cost_usd"] = _plus(mine["cost_usd"], cost)


def _plus(total: Any, part: Any) -> Any:
    return None if total is None or part is None else total + part


class Recorder:
    """The one writer of a run. Safe to call from several threads. Events that the journal already holds
    (a resumed run going over old ground) are not written again."""

    def __init__(
        self,
        log: EventLog,
        journal: RunJournal,
        *,
        mask: Callable[[Any], Any] = lambda v: v,
        listener: Listener | None = None,
    ) -> None:
        """`mask` takes secrets out of any JSON value before it reaches the disk."""
        self._log = log
        self._journal = journal
        self._mask = mask
        self._listener = listener
        self._lock = threading.Lock()
        self._ledger = TokenLedger()
        self._agents: dict[str, str] = {}
        self.totals = Totals()
        self._counted: set[tuple[str, int]] = set()
        for event in journal.events:
            if event["type"] == "call":
                self._count(event)

    def append(self, type: str, /, **fields: Any) -> int:
        """Write one event; returns its number, -1 when the log already held it."""
        with self._lock:
            if type == "message":
                self._ledger.said(fields["id"], fields["parent"], sampled=fields["sampled"])
            if self._journal.seen(type, fields):
                return -1
            masked = self._mask(fields)
            seq = self._log.append(type, **masked)
        if self._listener is not None:
            self._listener(type, masked)
        return seq

    def called(self, call: Call) -> None:
        """CallObserver: on disk before the answer is used."""
        node, agent = split_scope(call.scope)
        agent = self._agents.get(call.scope, agent)
        # asdict would copy the whole answer, only to be written out.
        fields = {field.name: getattr(call, field.name) for field in dataclass_fields(call)}
        fields["sampling"], fields["usage"] = asdict(call.sampling), asdict(call.usage)
        self._count({**fields, "agent": agent})
        for name in ("replayed", "prompt_token_ids", "token_ids", "logprobs"):
            fields.pop(name)
        fields["response"] = dict(call.response)
        message = f"{call.scope}:{call.index}"
        with self._lock:
            tokens = self._ledger.tokens(
                message,
                self._ledger.above(call.scope),
                call.prompt_token_ids,
                call.token_ids,
                call.logprobs,
                call.served_model or call.model,
            )
        self.append("call", message=message, node=node, agent=agent, tokens=tokens, **fields)

    def _count(self, event: Mapping[str, Any]) -> None:
        """Add a call to the totals, once, whether it was made now or before the run was interrupted."""
        key = (event["scope"], event["index"])
        if key not in self._counted:
            self._counted.add(key)
            role = str(event["agent"]).partition(":")[0]
            self.totals.add(role, event["usage"], is_llm=bool(event["is_llm"]))

    def call_failed(
        self, *, scope: str, index: int, model: str, kind: str, error: str, attempts: int
    ) -> None:
        node, agent = split_scope(scope)
        agent = self._agents.get(scope, agent)
        self.append(
            "call_failed",
            node=node,
            agent=agent,
            scope=scope,
            index=index,
            model=model,
            kind=kind,
            error=error,
            attempts=attempts,
        )

    def call_retried(
        self, *, scope: str, index: int, model: str, error: str, attempts: int, wait_s: float
    ) -> None:
        node, agent = split_scope(scope)
        self.append(
            "call_retried",
            node=node,
            agent=self._agents.get(scope, agent),
            scope=scope,
            index=index,
            model=model,
            error=error,
            attempts=attempts,
            wait_s=round(wait_s, 3),
        )

    def turn(self, scope: str, agent: str | None = None) -> TurnRecorder:
        """The observer of one role turn; `agent` is the name of its `agent` event (None: the role's)."""
        if agent is not None:
            self._agents[scope] = agent
        return TurnRecorder(self, split_scope(scope)[0], agent)


class TurnRecorder:
    """agents.observer.TurnObserver over a Recorder, for one node."""

    def __init__(self, recorder: Recorder, node: str, agent: str | None) -> None:
        self._append = recorder.append
        self._node = node
        self._agent = agent

    def message(
        self,
        id: str,
        message: Message,
        *,
        parent: str | None,
        agent: str,
        sampled: bool = False,
    ) -> None:
        self._append(
            "message",
            id=id,
            parent=parent,
            agent=self._agent or agent,
            node=self._node,
            role=message.role,
            content=message.content,
            reasoning=message.reasoning,
            tool_calls=[call.to_openai() for call in message.tool_calls],
            tool_call_id=message.tool_call_id,
            name=message.name,
            sampled=sampled,
            error=message.error,
            **({"images": [picture_name(url) for url in message.images]} if message.images else {}),
        )

    def tool(
        self,
        id: str,
        *,
        agent: str,
        name: str,
        arguments: Mapping[str, Any],
        result: ToolResult,
        duration_s: float,
    ) -> None:
        self._append(
            "tool",
            message=id,
            node=self._node,
            agent=self._agent or agent,
            name=name,
            arguments=dict(arguments),
            ok=result.ok,
            text=result.text,
            duration_s=round(duration_s, 4),
        )

    def nudged(self, *, agent: str, reason: str) -> None:
        self._append("nudge", agent=self._agent or agent, node=self._node, reason=reason)

    def compacted(self, *, agent: str, kept: int, dropped: int) -> None:
        self._append("compaction", agent=self._agent or agent, node=self._node, kept=kept, dropped=dropped)


def split_scope(scope: str) -> tuple[str, str]:
    """`n0.1/coder/0` → (`n0.1`, `coder`); `run/...` belongs to no node ("")."""
    node, _, rest = scope.partition("/")
    return ("" if node == "run" else node), rest.partition("/")[0]
