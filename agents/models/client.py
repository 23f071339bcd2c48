"""ModelClient: AutoGen's ChatCompletionClient over any wire. One call is: journal, budget, endpoint
(with retries and fallbacks), ledger, observer, result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from ...tools.errors import ContextOverflowError
from ..budget import Budget
from ..journal import CallJournal
from .calls import Call, CallObserver, Sampling
from .core import Core, spending
from .endpoint import Endpoint, Sampled
from .history import History
from .results import SampledResult as SampledResult
from .results import as_result, name_calls
from .schema import response_format
from .wire import Answer, Request

_SAMPLING = {"temperature", "top_p", "seed", "reasoning_effort", "logprobs", "max_output_tokens"}


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
        journal: CallJournal | None,
        budget: Budget | None,
    ) -> None:
        self._core = core
        self.scope = scope
        self.sampling = sampling
        self._observer = observer
        self._journal = journal
        self._budget = budget
        self._index = 0
        self._history = History(core.primary.encoder)
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
        return self._core.primary

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
        prompt = self._history.prompt(messages)
        return Request(
            scope=self.scope,
            index=self._index,
            messages=messages,
            prompt=prompt,
            pieces=prompt.pieces,
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
            digest = self._core.digest(request)
            recorded = self._lookup(request, digest)
            if recorded is not None:
                return self._replayed(request, recorded, digest)
            sampled, endpoint = await self._core.sample(request, self._budget, self._observer)
            return self._result(request, sampled, digest, endpoint.model, endpoint.route.is_llm)
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
            self._budget.charge(spending(answer.usage))
        return self._result(request, Sampled(answer, 0, 0.0), digest, model, self.is_llm, replayed=True)

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
            name_calls(answer, request)
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
            prompt_sha256=request.prompt.chain,
            policy_version=answer.policy_version,
        )
        if self._observer is not None:
            self._observer.called(call)
        prompt = usage.prompt_tokens
        if prompt is None:
            prompt = self._core.estimate(self._primary, request.prompt.size, request.tools)
        completion = usage.completion_tokens
        if completion is None:
            completion = (len(answer.content) + sum(len(c["arguments"]) for c in answer.tool_calls)) // 4
        self._last = RequestUsage(prompt_tokens=prompt, completion_tokens=completion)
        self._total = RequestUsage(
            prompt_tokens=self._total.prompt_tokens + prompt,
            completion_tokens=self._total.completion_tokens + completion,
        )
        return as_result(answer, call, self._last)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """An estimate from the size in bytes, calibrated by the usage of earlier calls."""
        shapes = self._core.tools.shapes(tools)[0] if tools else ()
        size = sum(len(piece.wire) for piece in self._primary.encoder.pieces(messages))
        return self._core.estimate(self._primary, size, shapes)

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


def _ignore(text: str) -> None:
    """A listener for streams that only the inactivity limit needs."""


async def _cancellable(call: Any, token: CancellationToken | None) -> Any:
    if token is None:
        return await call
    task = asyncio.ensure_future(call)
    token.link_future(task)
    return await task
