"""RoleAgent: the one agent loop. A model is asked, its tool calls are carried out, until it finishes.

A model's mistakes (malformed arguments, unknown tools, empty messages, refusals, output cut by length,
going in circles) are told to the model; three in a row end the turn. A failing endpoint or sandbox raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..prompts import render, untrusted
from ..tools.errors import BudgetExceeded, ContextOverflowError
from ..tools.toolbox.tool import ToolResult
from ..tools.toolbox.toolbox import Toolbox
from .compaction import compact, shorten, without_embedded
from .conversation import Conversation
from .journal import TurnJournal
from .message import Message, ToolCall, tool_result
from .models.arguments import read_arguments, why_not
from .models.client import ModelClient, Sample
from .observer import Silent, TurnObserver
from .stuck import StuckDetector

FINISH = "finish"
MOST_CALLS = 64
"""Calls of one answer that are carried out."""
MISTAKES = 3
"""Mistakes in a row that end a turn."""
_LEAST_TASK = 2000
"""Characters of a task that are never left out."""

TurnStatus = Literal["finished", "steps", "stuck", "limit"]


@dataclass(frozen=True, slots=True)
class TurnResult:
    """How a turn ended. `finish` holds the arguments of the `finish` call, else it is empty."""

    status: TurnStatus
    finish: Mapping[str, object]
    steps: int
    conversation: Conversation
    why: str = ""


@dataclass(slots=True)
class _Turn:
    """What one turn counts."""

    steps: int = 0
    mistakes: int = 0
    mistake: str = ""
    """What the last one was."""
    stuck: StuckDetector = field(default_factory=StuckDetector)
    compactions: int = 0
    due: bool = False
    """Whether the conversation is to be compacted before the next call."""


class RoleAgent:
    """One role on one workspace. `scope` names the turn in the search tree (`n0/coder/0`); message ids are
    derived from it: the message sampled by call k is `<scope>:<k>`, so they are stable under a seed."""

    def __init__(
        self,
        name: str,
        client: ModelClient,
        toolbox: Toolbox,
        *,
        system: str,
        scope: str,
        conversation: Conversation | None = None,
        max_steps: int = 100,
        max_context: int | None = None,
        observer: TurnObserver | None = None,
        journal: TurnJournal | None = None,
        mask: Callable[[str], str] = str,
    ) -> None:
        """`max_context` is the number of prompt tokens at which the conversation is compacted before the
        endpoint refuses it (None: only when it refuses). `mask` removes secrets from all text."""
        self.name = name
        self.conversation = conversation if conversation is not None else Conversation()
        self.toolbox = toolbox
        self._client = client
        self._system = system
        self._scope = scope
        self._max_steps = max_steps
        self._max_context = max_context
        self._observer: TurnObserver = observer or Silent()
        self._journal = journal
        self._mask = mask
        self._said = 0

    async def turn(self, task: str, images: Sequence[str] = ()) -> TurnResult:
        """Work on `task`, with `images` (URLs) below its text, until `finish`, a limit, or being stuck.

        Raises: ModelError when the endpoint fails for good; SandboxError; asyncio.CancelledError.
        """
        if not self.conversation.entries:
            self._say("system", self._system)
        self._say("user", task, images)
        state = _Turn()
        try:
            while state.steps < self._max_steps:
                sample = await self._sample(state)
                state.steps += 1
                end = await self._react(sample, state)
                if end is not None:
                    return end
                if self._max_steps - state.steps == 3:
                    self._say("user", render("wrap_up", left=3))
            return self._ended("steps", state, f"{self._max_steps} steps used up")
        except BudgetExceeded as error:
            return self._ended("limit", state, str(error))

    async def _sample(self, state: _Turn) -> Sample:
        while True:
            try:
                sample = await self._client.sample(self.conversation.messages, tools=self.toolbox.schemas)
            except ContextOverflowError:
                if state.compactions >= 5:
                    raise
                await self._compact(state)
                continue
            state.due = self._max_context is not None and sample.prompt_tokens > self._max_context
            return sample

    async def _react(self, sample: Sample, state: _Turn) -> TurnResult | None:
        """Take in one sampled message. Returns the end of the turn, or None to go on."""
        message = _within_bounds(sample.message)
        id = f"{self._scope}:{sample.call.index}"
        self._observer.message(id, message, parent=self.conversation.tip, agent=self.name, sampled=True)
        self.conversation.append(id, message)
        if not message.tool_calls:
            return self._no_call(sample, state)
        finish = await self._carry_out(id, message.tool_calls, state)
        if message is not sample.message:
            self._nudge("nudge_calls", carried_out=MOST_CALLS, made=len(sample.message.tool_calls))
        if finish is not None:
            return self._ended("finished", state, finish=finish)
        if state.mistakes:
            self._client.check_wall()
        if state.mistakes >= MISTAKES:
            return self._ended("stuck", state, f"{MISTAKES} mistakes in a row, the last: {state.mistake}")
        if state.due:
            state.due = False
            await self._compact(state)
        return None

    def _no_call(self, sample: Sample, state: _Turn) -> TurnResult | None:
        state.mistakes += 1
        if state.mistakes >= MISTAKES:
            return self._ended("stuck", state, f"{MISTAKES} messages without a usable tool call in a row")
        if sample.finish_reason == "length":
            template = "nudge_length"
        elif sample.finish_reason == "content_filter":
            template = "nudge_refusal"
        elif sample.finish_reason == "malformed":
            template = "nudge_malformed"
        else:
            template = "nudge_no_tool" if sample.message.content.strip() else "nudge_empty"
        self._nudge(template)
        return None

    async def _carry_out(
        self, id: str, calls: Sequence[ToolCall], state: _Turn
    ) -> Mapping[str, object] | None:
        """Run the calls of one message in order; `finish` last. Returns its arguments when accepted. Once the time
        is used up no further call is carried out."""
        finish: Mapping[str, object] | None = None
        bad = 0
        told = None
        parent = id
        for number, call in enumerate(calls):
            tool_id = f"{id}.t{number}"
            arguments, result, duration = await self._call(tool_id, call)
            if call.name == FINISH and result.ok:
                finish = arguments
            text = untrusted(self._mask(result.text), call.name)
            if not result.ok:
                bad += 1
                state.mistake = self._mask(f"{call.name}: {' '.join(result.text.split())[:160]}")
            message = tool_result(call, text, ok=result.ok)
            self._observer.message(tool_id, message, parent=parent, agent=self.name)
            self.conversation.append(tool_id, message)
            self._observer.tool(
                tool_id,
                agent=self.name,
                name=call.name,
                arguments=arguments,
                result=result,
                duration_s=duration,
            )
            told = state.stuck.saw(call.name, arguments, result.text, result.ok) or told
            parent = tool_id
        state.mistakes = state.mistakes + 1 if bad == len(calls) else 0
        if told is not None and finish is None:
            state.mistakes += 1
            self._nudge(told.template, what=self._mask(told.what), times=told.times)
        return finish

    async def _call(self, id: str, call: ToolCall) -> tuple[Mapping[str, object], ToolResult, float]:
        started = time.perf_counter()
        arguments = read_arguments(call.arguments)
        if arguments is None:
            text = (
                f"The arguments of {call.name} are not a JSON object ({why_not(call.arguments)}). "
                "Call it again with valid JSON."
            )
            return {}, ToolResult(text, ok=False), 0.0
        recorded = self._journal.tool(id) if self._journal is not None else None
        tool = self.toolbox.tools.get(call.name)
        if recorded is not None and (tool is None or not tool.mutates):
            return arguments, ToolResult(recorded.text, recorded.ok), 0.0
        if recorded is None and call.name != FINISH:
            try:
                self._client.check_wall()
            except BudgetExceeded as error:
                return arguments, ToolResult(f"not carried out: {error}", ok=False), 0.0
        result = await asyncio.to_thread(self.toolbox.call, call.name, arguments)
        if recorded is not None:
            result = ToolResult(recorded.text, recorded.ok, result.data)
        return arguments, result, time.perf_counter() - started

    def _say(self, role: Literal["system", "user"], content: str, images: Sequence[str] = ()) -> None:
        content = self._mask(without_embedded(content))
        id = f"{self._scope}:{role[0]}{self._said}"
        if self._journal is not None:
            content = self._journal.message(id) or content
        self._said += 1
        message = Message(role, content, images=tuple(images))
        self._observer.message(id, message, parent=self.conversation.tip, agent=self.name)
        self.conversation.append(id, message)

    def _nudge(self, template: str, **values: Any) -> None:
        self._observer.nudged(agent=self.name, reason=template)
        self._say("user", render(template, **values))

    async def _compact(self, state: _Turn) -> None:
        state.compactions += 1
        diff = await asyncio.to_thread(self.toolbox.call, "diff", {})
        before = len(self.conversation.entries)
        head, summary = compact(self.conversation, diff.text)
        self.conversation = Conversation()
        for entry in head:
            said = entry.message
            if said.role == "system":
                self._say("system", said.content)
            else:
                images = said.images if state.compactions == 1 else ()
                self._say("user", shorten(said.content, self._task_chars(said, before, state)), images)
        self._say("user", summary)
        self._observer.compacted(agent=self.name, kept=len(head), dropped=before - len(head))

    def _task_chars(self, task: Message, entries: int, state: _Turn) -> int:
        """How long the task may be. It is halved each time that there was nothing else to leave out, or that
        leaving it out did not help."""
        halvings = state.compactions - (entries > 3)
        limit = len(task.content) >> max(0, halvings)
        window = self._client.context_window
        if window is not None:
            limit = min(limit, int(window * 1.5))  # less than half of the window, at three bytes and a half
        return max(_LEAST_TASK, limit)

    def _ended(
        self, status: TurnStatus, state: _Turn, why: str = "", finish: Mapping[str, object] | None = None
    ) -> TurnResult:
        return TurnResult(status, finish or {}, state.steps, self.conversation, why)


def _within_bounds(message: Message) -> Message:
    """With at most `MOST_CALLS` calls; how many more there were is among its extras."""
    more = len(message.tool_calls) - MOST_CALLS
    if more <= 0:
        return message
    return replace(
        message, tool_calls=message.tool_calls[:MOST_CALLS], extras={**message.extras, "calls_left_out": more}
    )
