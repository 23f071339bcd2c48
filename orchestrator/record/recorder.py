"""Recorder: writes what happens in a run to its event log, and hears calls and turns for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from ...agents.message import Message
from ...agents.models.calls import Call
from ...agents.models.prompt_digest import picture_name
from ...tools.toolbox.tool import ToolResult
from .event import Event, Line
from .events import Called, CallFailed, CallRetried, Compaction, Nudge, Said, ToolUsed
from .journal import Journal
from .log import EventLog
from .tokens import TokenLedger
from .totals import CallTotals

E = TypeVar("E", bound=Event)
Listener = Callable[[str, Line], None]
"""Told of each event after it is on disk, by type and fields, and of what `told` names: the screen and the JSON
stream."""


class Recorder:
    """The one writer of a run. Safe to call from several threads. Events that the journal already holds
    (a resumed run going over old ground) are not written again."""

    def __init__(
        self,
        log: EventLog,
        journal: Journal,
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
        self.totals = CallTotals()
        self._counted: set[tuple[str, int]] = set()
        for line in journal.events:
            if line["type"] == Called.type:
                self._count(line["scope"], line["index"], line["agent"], line["usage"], line["is_llm"])

    def recall(self, kind: type[E], *name: Any) -> E | None:
        """See `Journal.recall`."""
        return self._journal.recall(kind, *name)

    def append(self, event: Event) -> int:
        """Write one event; returns its number, -1 when the log already held it."""
        with self._lock:
            if isinstance(event, Said):
                self._ledger.said(event.id, event.parent, sampled=event.sampled)
            if self._journal.seen(event):
                return -1
            masked = self._mask(event.to_json())
            seq = self._log.append(event.type, **masked)
        if self._listener is not None:
            self._listener(event.type, masked)
        return seq

    def tell(self, line: str) -> None:
        """Show where the work stands; nothing is written down."""
        if self._listener is not None:
            self._listener("progress", {"line": line})

    def called(self, call: Call) -> None:
        """CallObserver: on disk before the answer is used."""
        node, agent = split_scope(call.scope)
        agent = self._agents.get(call.scope, agent)
        usage = asdict(call.usage)
        self._count(call.scope, call.index, agent, usage, call.is_llm)
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
        self.append(
            Called(
                message=message,
                node=node,
                agent=agent,
                tokens=tokens,
                scope=call.scope,
                index=call.index,
                request_sha256=call.request_sha256,
                model=call.model,
                served_model=call.served_model,
                is_llm=call.is_llm,
                sampling=asdict(call.sampling),
                finish_reason=call.finish_reason,
                usage=usage,
                latency_s=call.latency_s,
                attempts=call.attempts,
                response=dict(call.response),
                prompt_sha256=call.prompt_sha256,
                policy_version=call.policy_version,
            )
        )

    def _count(self, scope: str, index: int, agent: str, usage: Mapping[str, Any], is_llm: bool) -> None:
        """Add a call to the totals, once, whether it was made now or before the run was interrupted."""
        if (scope, index) not in self._counted:
            self._counted.add((scope, index))
            self.totals.add(agent.partition(":")[0], usage, is_llm=is_llm)

    def call_failed(
        self, *, scope: str, index: int, model: str, kind: str, error: str, attempts: int
    ) -> None:
        node, agent = split_scope(scope)
        agent = self._agents.get(scope, agent)
        self.append(
            CallFailed(
                node=node,
                agent=agent,
                scope=scope,
                index=index,
                model=model,
                kind=kind,
                error=error,
                attempts=attempts,
            )
        )

    def call_retried(
        self, *, scope: str, index: int, model: str, error: str, attempts: int, wait_s: float
    ) -> None:
        node, agent = split_scope(scope)
        agent = self._agents.get(scope, agent)
        self.append(
            CallRetried(
                node=node,
                agent=agent,
                scope=scope,
                index=index,
                model=model,
                error=error,
                attempts=attempts,
                wait_s=round(wait_s, 3),
            )
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
            Said(
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
                images=[picture_name(url) for url in message.images] or None,
            )
        )

    def tool(
        self,
        id: str,
        *,
        agent: str,
        name: str,
        arguments: Mapping[str, object],
        result: ToolResult,
        duration_s: float,
    ) -> None:
        self._append(
            ToolUsed(
                message=id,
                node=self._node,
                agent=self._agent or agent,
                name=name,
                arguments=dict(arguments),
                ok=result.ok,
                text=result.text,
                duration_s=round(duration_s, 4),
            )
        )

    def nudged(self, *, agent: str, reason: str) -> None:
        self._append(Nudge(agent=self._agent or agent, node=self._node, reason=reason))

    def compacted(self, *, agent: str, kept: int, dropped: int) -> None:
        self._append(Compaction(agent=self._agent or agent, node=self._node, kept=kept, dropped=dropped))


def split_scope(scope: str) -> tuple[str, str]:
    """`n0.1/coder/0` → (`n0.1`, `coder`); `run/...` belongs to no node ("")."""
    node, _, rest = scope.partition("/")
    return ("" if node == "run" else node), rest.partition("/")[0]
