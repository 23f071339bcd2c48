"""ModelClient: AutoGen's ChatCompletionClient over any wire. One call is: journal, budget, endpoint
(with retries and fallbacks), ledger, observer, result."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.models._types import ChatCompletionTokenLogprob, TopLogprob
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from ...tools.errors import (
    BudgetExceeded,
    ContextOverflowError,
    CredentialsError,
    ModelError,
    RecordError,
)
from ..budget import Budget, Reservation, Spending
from .calls import Call, CallObserver, Journal, ModelOptions, Sampling, Usage
from .endpoint import Endpoint, Sampled
from .messages import Memory, Piece, ToolShapes, dumps
from .prompt_digest import chain_of
from .schema import response_format
from .wire import Answer, Request, WireError

_RESERVED_OUTPUT = 32_768
"""Completion tokens set aside for a call whose length nothing else bounds."""
_LEAST_OUTPUT = 256
_SAMPLING = {"temperature", "top_p", "seed", "reasoning_effort", "logprobs", "max_output_tokens"}


class SampledResult(CreateResult):
    """A CreateResult that keeps apart what AutoGen folds into `thought`, and carries the call."""

    text: str
    """What the model wrote beside its tool calls, or its whole message."""
    reasoning: str | None
    call: Call


@dataclass(slots=True)
class Core:
    """What all scopes of a client share."""

    endpoints: list[Endpoint]
    """The model, then its fallbacks."""
    options: ModelOptions
    memory: Memory
    tools: ToolShapes
    replay_only: bool


class ModelClient(ChatCompletionClient):
    """One model (and its fallbacks) as seen from one scope. Build it with `factory.make_client`."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(
        self,
        core: Core,
        *,
        scope: str,
        sampling: Sampling,
        observer: CallObserver | None,
        journal: Journal | None,
        budget: Budget | None,
    ) -> None:
        self._core = core
        self.scope = scope
        self.sampling = sampling
        self._observer = observer
        self._journal = journal
        self._budget = budget
        self._index = 0
        self._total = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._last = self._total

    def scoped(
        self,
        scope: str,
        *,
        sampling: Sampling | None = None,
        observer: CallObserver | None = None,
        budget: Budget | None = None,
    ) -> ModelClient:
        """The same model, pool and limits for another place in the search tree; its calls count from 0."""
        return ModelClient(
            self._core,
            scope=scope,
            sampling=sampling or self.sampling,
            observer=observer or self._observer,
            journal=self._journal,
            budget=budget or self._budget,
        )

    @property
    def model_name(self) -> str:
        return self._primary.model

    @property
    def is_llm(self) -> bool:
        return self._primary.route.is_llm

    @property
    def context_window(self) -> int | None:
        """Tokens of prompt and answer, from the catalog or from what an endpoint's refusal said."""
        return self._primary.context_window

    @property
    def _primary(self) -> Endpoint:
        return self._core.endpoints[0]

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> SampledResult:
        """Sample one message.

        Raises: CredentialsError, ContextOverflowError, ModelError, BudgetExceeded; RecordError when a
        journal's call was made with another request; asyncio.CancelledError.
        """
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args)
        if self._core.options.stream:
            request.on_text = _ignore
        return await _cancellable(self._call(request), cancellation_token)

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Like `create`, yielding text as it comes and the result last. Text of an attempt that was cut and
        repeated comes again; the result is the whole truth."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args)
        request.on_text = pieces.put_nowait
        task = asyncio.ensure_future(_cancellable(self._call(request), cancellation_token))
        task.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (text := await pieces.get()) is not None:
                yield text
            yield await task
        finally:
            task.cancel()

    def _request(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[Any],
        tool_choice: Any,
        json_output: bool | type[BaseModel] | None,
        extra: Mapping[str, Any],
    ) -> Request:
        changed = {name: value for name, value in extra.items() if name in _SAMPLING}
        sampling = replace(self.sampling, **changed) if changed else self.sampling
        if not isinstance(tool_choice, str):
            tool_choice = {"type": "function", "function": {"name": tool_choice.name}}
        return Request(
            scope=self.scope,
            index=self._index,
            messages=messages,
            pieces=self._primary.encoder.pieces(messages),
            tools=self._core.tools.shapes(tools)[0] if tools else (),
            tool_choice=tool_choice,
            response_format=response_format(json_output),
            sampling=sampling,
            max_output_tokens=sampling.max_output_tokens,
            timeout_s=self._core.options.timeout_s,
            extra={name: value for name, value in extra.items() if name not in _SAMPLING},
        )

    async def _call(self, request: Request) -> SampledResult:
        # The index is taken before the first await, so that calls of one scope are numbered as they were made.
        self._index = request.index + 1
        try:
            digest = self._digest(request)
            recorded = self._lookup(request, digest)
            if recorded is not None:
                return self._replayed(request, recorded, digest)
            return await self._sample(request, digest)
        except ContextOverflowError:
            raise
        except BaseException:
            # Nothing was sampled: the next attempt at this call has its number.
            if self._index == request.index + 1:
                self._index = request.index
            raise

    def _lookup(self, request: Request, digest: str) -> Mapping[str, Any] | None:
        if self._journal is None:
            return None
        recorded = self._journal.lookup(request.scope, request.index, digest)
        if recorded is not None and "overflow" in recorded:
            raise ContextOverflowError(str(recorded["overflow"]))
        return recorded

    def _replayed(self, request: Request, recorded: Mapping[str, Any], digest: str) -> SampledResult:
        answer = Answer.from_response(recorded)
        model = recorded.get("model") or self.model_name
        if self._budget is not None:
            # It was paid for by the process that made it: a resumed run has as much left as an unbroken one.
            self._budget.charge(_spending(answer.usage, steps=1))
        return self._result(request, Sampled(answer, 0, 0.0), digest, model, self.is_llm, replayed=True)

    async def _sample(self, request: Request, digest: str) -> SampledResult:
        endpoints = self._core.endpoints
        failed: ModelError | None = None
        for number, endpoint in enumerate(endpoints):
            if number:
                request.pieces = endpoint.encoder.pieces(request.messages)
            try:
                sampled = await self._ask(endpoint, request)
            except ContextOverflowError as error:
                self._heard_failure(request, endpoint, "overflow", error)
                raise
            except ModelError as error:
                kind = "credentials" if isinstance(error, CredentialsError) else "infrastructure"
                self._heard_failure(request, endpoint, kind, error)
                failed = failed or error
                continue
            return self._result(request, sampled, digest, endpoint.model, endpoint.route.is_llm)
        assert failed is not None
        raise failed

    async def _ask(self, endpoint: Endpoint, request: Request) -> Sampled:
        """Ask within the budget. Raises: ModelError with an `attempts` note; BudgetExceeded."""
        reservation, deadline = await self._reserve(endpoint, request)

        def heard(error: WireError, attempts: int, wait_s: float) -> None:
            listen = getattr(self._observer, "call_retried", None)
            if listen is not None:
                listen(
                    scope=request.scope, index=request.index, model=endpoint.model,
                    error=endpoint.masked(str(error)), attempts=attempts, wait_s=wait_s,
                )  # fmt: skip

        try:
            if self._core.replay_only:
                raise RecordError(
                    f"the replay diverges: the record has no call {request.index} of {request.scope}"
                )
            sampled = await endpoint.ask(request, deadline, heard)
        except ModelError:
            if self._budget is not None and deadline is not None and time.monotonic() >= deadline:
                self._budget.check()
            raise
        else:
            answer = sampled.answer
            if answer.usage.cost_usd is None:
                cost = endpoint.facts.cost(answer.usage, answer.cache_write_tokens)
                answer.usage = replace(answer.usage, cost_usd=cost)
            if reservation is not None:
                known = answer.usage.prompt_tokens is not None
                # Without a usage report the estimate stands: what was not measured was not free.
                reservation.settle(_spending(answer.usage, steps=1) if known else reservation.amount)
            return sampled
        finally:
            if reservation is not None:
                reservation.release()

    async def _reserve(self, endpoint: Endpoint, request: Request) -> tuple[Reservation | None, float | None]:
        """Set aside what the call may cost; a nearly spent budget bounds its length."""
        budget = self._budget
        if budget is None:
            return None, None
        prompt = self._estimate(endpoint, request.pieces, request.tools) if endpoint.route.is_llm else 0
        facts = endpoint.facts
        expected = getattr(endpoint.wire, "expected", None)
        request.max_output_tokens = request.sampling.max_output_tokens
        while True:
            budget.check()
            room = budget.room(reserved=False)
            wanted = request.sampling.max_output_tokens or min(
                facts.max_output_tokens or _RESERVED_OUTPUT, _RESERVED_OUTPUT
            )
            output = wanted if endpoint.route.is_llm else 0
            if room.tokens is not None and output:
                output = max(min(_LEAST_OUTPUT, wanted), min(output, room.tokens - prompt))
            if room.usd is not None and facts.input_price is not None and facts.output_price and output:
                affordable = int((room.usd - prompt * facts.input_price) / facts.output_price)
                output = max(min(_LEAST_OUTPUT, wanted), min(output, affordable))
            usd = prompt * (facts.input_price or 0.0) + output * (facts.output_price or 0.0)
            amount = Spending(usd=usd, tokens=prompt + output, steps=1)
            if expected is not None:
                amount = _spending(expected(request), steps=1)
            try:
                reservation = await budget.acquire(amount)
            except BudgetExceeded:
                if budget.room(reserved=False) == room or output <= _LEAST_OUTPUT:
                    raise
                continue
            break
        if output and output < wanted:
            request.max_output_tokens = output
        wall = budget.room().wall_s
        if wall is not None:
            request.timeout_s = max(0.001, min(request.timeout_s, wall))
        return reservation, None if wall is None else time.monotonic() + wall

    def _result(
        self,
        request: Request,
        sampled: Sampled,
        digest: str,
        model: str,
        is_llm: bool,
        *,
        replayed: bool = False,
    ) -> SampledResult:
        answer = sampled.answer
        if not replayed:
            _name_calls(answer, request)
        self._core.memory.keep(answer)
        usage = answer.usage
        call = Call(
            scope=request.scope,
            index=request.index,
            request_sha256=digest,
            model=model,
            served_model=answer.served_model,
            is_llm=is_llm,
            sampling=request.sampling,
            finish_reason=answer.finish_reason,
            usage=usage,
            latency_s=round(sampled.latency_s, 4),
            attempts=sampled.attempts,
            response=answer.as_response(),
            prompt_token_ids=answer.prompt_token_ids,
            token_ids=answer.token_ids,
            logprobs=None if answer.logprobs is None else tuple(t["logprob"] for t in answer.logprobs),
            replayed=replayed,
            prompt_sha256=chain_of([link for piece in request.pieces for link in piece.links]),
            policy_version=answer.policy_version,
        )
        if self._observer is not None:
            self._observer.called(call)
        prompt = usage.prompt_tokens
        if prompt is None:
            prompt = self._estimate(self._primary, request.pieces, request.tools)
        completion = usage.completion_tokens
        if completion is None:
            completion = (len(answer.content) + sum(len(c["arguments"]) for c in answer.tool_calls)) // 4
        self._last = RequestUsage(prompt_tokens=prompt, completion_tokens=completion)
        self._total = RequestUsage(
            prompt_tokens=self._total.prompt_tokens + prompt,
            completion_tokens=self._total.completion_tokens + completion,
        )
        return _as_result(answer, call, self._last)

    def _heard_failure(self, request: Request, endpoint: Endpoint, kind: str, error: ModelError) -> None:
        if self._observer is not None:
            self._observer.call_failed(
                scope=request.scope,
                index=request.index,
                model=endpoint.model,
                kind=kind,
                error=str(error),
                attempts=getattr(error, "attempts", 1),
            )

    def _digest(self, request: Request) -> str:
        """SHA-256 over what decides the answer: model, sampling, tools, format and every message."""
        head = {
            "model": self.model_name,
            "sampling": _fields(request.sampling),
            "tools": hashlib.sha256(self._core.tools.shapes(request.tools)[1]).hexdigest()
            if request.tools
            else None,
            "tool_choice": request.tool_choice,
            "response_format": request.response_format,
            "extra": request.extra,
        }
        total = hashlib.sha256(dumps(head))
        for piece in request.pieces:
            total.update(piece.digest)
        return total.hexdigest()

    def _estimate(self, endpoint: Endpoint, pieces: Sequence[Piece], tools: Sequence[Any]) -> int:
        size = sum([len(piece.wire) for piece in pieces])
        if tools:
            size += len(self._core.tools.shapes(tools)[1])
        return int(size / endpoint.bytes_per_token) + 1

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """An estimate from the size in bytes, calibrated by the usage of earlier calls."""
        shapes = self._core.tools.shapes(tools)[0] if tools else ()
        return self._estimate(self._primary, self._primary.encoder.pieces(messages), shapes)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()
    ) -> int:
        """Tokens left in the context window; a window that is not known counts as 128,000."""
        return (self.context_window or 128_000) - self.count_tokens(messages, tools=tools)

    def actual_usage(self) -> RequestUsage:
        return self._last

    def total_usage(self) -> RequestUsage:
        return self._total

    @property
    def model_info(self) -> ModelInfo:
        facts = self._primary.facts
        return {
            "vision": facts.vision if facts.vision is not None else False,
            "function_calling": True,
            "json_output": True,
            "structured_output": True,
            "family": ModelFamily.UNKNOWN,
            "multiple_system_messages": False,
        }

    @property
    def capabilities(self) -> ModelInfo:  # type: ignore[override]  # AutoGen's deprecated name for the same
        return self.model_info

    async def close(self) -> None:
        """Close the connections of this event loop; every scope shares them."""
        for endpoint in self._core.endpoints:
            await endpoint.close()


@lru_cache(maxsize=256)
def _fields(sampling: Sampling) -> dict[str, Any]:
    return asdict(sampling)


def _ignore(text: str) -> None:
    """A listener for streams that only the inactivity limit needs."""


async def _cancellable(call: Any, token: CancellationToken | None) -> Any:
    if token is None:
        return await call
    task = asyncio.ensure_future(call)
    token.link_future(task)
    return await task


def _spending(usage: Usage, steps: int) -> Spending:
    tokens = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
    return Spending(usd=usage.cost_usd or 0.0, tokens=tokens, steps=steps)


def _name_calls(answer: Answer, request: Request) -> None:
    """Give each call an id that no other call of the conversation has, the same under every replay."""
    taken = {id for piece in request.pieces for id in piece.call_ids}
    for number, call in enumerate(answer.tool_calls):
        if not call["id"] or call["id"] in taken:
            place = hashlib.sha256(f"{request.scope}\0{request.index}\0{number}".encode()).hexdigest()[:16]
            call["id"] = f"call_{place}"
        taken.add(call["id"])


def _as_result(answer: Answer, call: Call, usage: RequestUsage) -> SampledResult:
    content: str | list[FunctionCall] = answer.content
    thought = answer.reasoning
    reason = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "function_calls",
        "content_filter": "content_filter",
    }
    if answer.tool_calls:
        content = [
            FunctionCall(id=c["id"], name=c["name"], arguments=c["arguments"]) for c in answer.tool_calls
        ]
        thought = answer.reasoning or answer.content or None
    logprobs = None
    if answer.logprobs is not None:
        logprobs = [
            ChatCompletionTokenLogprob(
                token=t.get("token", ""),
                logprob=t["logprob"],
                top_logprobs=[
                    TopLogprob(logprob=o["logprob"], bytes=o.get("bytes"))
                    for o in t.get("top_logprobs") or ()
                ],
                bytes=t.get("bytes"),
            )
            for t in answer.logprobs
        ]
    return SampledResult.model_construct(
        finish_reason=reason.get(answer.finish_reason, "unknown"),
        content=content,
        usage=usage,
        cached=call.replayed,
        logprobs=logprobs,
        thought=thought,
        text=answer.content,
        reasoning=answer.reasoning,
        call=call,
    )
