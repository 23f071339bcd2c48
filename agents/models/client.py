"""ModelClient: one model (and its fallbacks) as seen from one scope. One call is: journal, budget, endpoint
(with retries), ledger, observer, sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from ...tools.errors import ContextOverflowError, ModelError, RecordError
from ...tools.toolbox.tool_schema import ToolSchema
from ..budget import Budget
from ..journal import CallJournal
from ..message import Message
from .calls import Call, CallObserver, ModelOptions, Sampling, TokenLogprob
from .encoder import ToolShapes
from .endpoint import Endpoint, Sampled
from .prompt import History
from .schema import response_format
from .spending import Outlay, listener, request_sha256, reserve, spending, tell
from .wire import Answer, Request


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled message with what it took."""

    message: Message
    finish_reason: str
    """stop | length | tool_calls | content_filter | unknown."""
    call: Call
    prompt_tokens: int
    """As the endpoint counts them, else an estimate."""
    completion_tokens: int
    logprobs: Sequence[TokenLogprob] | None = None
    """One per token, as OpenAI's logprobs.content."""


@dataclass(frozen=True, slots=True)
class Core:
    """What all scopes of a client share."""

    endpoints: Sequence[Endpoint]
    """The model, then its fallbacks."""
    options: ModelOptions
    tools: ToolShapes
    replay_only: bool


class ModelClient:
    """Build it with `factory.make_client`."""

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
        self._history = History(self._primary.encoder)

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
    def model(self) -> str:
        """The model's name as the user wrote it."""
        return self._primary.model

    @property
    def is_llm(self) -> bool:
        return self._primary.route.is_llm

    @property
    def vision(self) -> bool:
        """Whether the catalog says that it takes images."""
        return bool(self._primary.facts.vision)

    @property
    def context_window(self) -> int | None:
        """Tokens of prompt and answer, from the catalog or from what an endpoint's refusal said."""
        return self._primary.context_window

    @property
    def _primary(self) -> Endpoint:
        return self._core.endpoints[0]

    async def sample(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: str | Mapping[str, object] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        sampling: Sampling | None = None,
        extra: Mapping[str, object] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Sample:
        """Sample one message: the model is asked, then each fallback.

        `on_text` streams the call and hears each piece of text; text of an attempt that was cut and repeated
        comes again, the sample is the whole truth. `extra` holds further fields of the request.
        Raises: CredentialsError, ContextOverflowError, ModelError, BudgetExceeded (the first failure when all
        have failed); RecordError when a journal's call was made with another request.
        """
        request = self._request(messages, tools, tool_choice, json_output, sampling, extra or {}, on_text)
        # The index is taken before the first await: calls of one scope are numbered as they were made.
        self._index = request.index + 1
        try:
            digest = request_sha256(self.model, request, self._core.tools)
            recorded = self._lookup(request, digest)
            if recorded is not None:
                return self._replayed(request, recorded, digest)
            failed: ModelError | None = None
            for number, endpoint in enumerate(self._core.endpoints):
                if number:
                    request.pieces = endpoint.encoder.pieces(messages)
                outlay = await reserve(endpoint, request, self._budget, self._core.tools)
                try:
                    heard = listener(self._observer, request, endpoint)
                    sampled = await endpoint.ask(request, outlay.deadline, heard)
                    outlay.settle(endpoint, sampled.answer)
                    return self._taken(request, sampled, digest, endpoint)
                except ModelError as error:
                    failed = failed or error
                    self._failed(error, request, endpoint, outlay)
                finally:
                    outlay.release()
            assert failed is not None
            raise failed
        except ContextOverflowError:
            raise
        except BaseException:
            # Nothing was sampled: the next attempt at this call has its number.
            if self._index == request.index + 1:
                self._index = request.index
            raise

    def _request(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        tool_choice: str | Mapping[str, object],
        json_output: bool | type[BaseModel] | None,
        sampling: Sampling | None,
        extra: Mapping[str, object],
        on_text: Callable[[str], None] | None,
    ) -> Request:
        sampling = sampling or self.sampling
        prompt = self._history.prompt(messages)
        if on_text is None and self._core.options.stream:
            on_text = _ignore
        return Request(
            scope=self.scope,
            index=self._index,
            messages=messages,
            prompt=prompt,
            pieces=prompt.pieces,
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format(json_output),
            sampling=sampling,
            max_output_tokens=sampling.max_output_tokens,
            timeout_s=self._core.options.timeout_s,
            extra=extra,
            on_text=on_text,
        )

    def _lookup(self, request: Request, digest: str) -> Mapping[str, Any] | None:
        recorded = None
        if self._journal is not None:
            recorded = self._journal.lookup(request.scope, request.index, digest)
        if recorded is None and self._core.replay_only:
            raise RecordError(
                f"the replay diverges: the record has no call {request.index} of {request.scope}"
            )
        if recorded is not None and "overflow" in recorded:
            raise ContextOverflowError(str(recorded["overflow"]))
        return recorded

    def _replayed(self, request: Request, recorded: Mapping[str, Any], digest: str) -> Sample:
        answer = Answer.from_response(recorded)
        if self._budget is not None:
            # It was paid for by the process that made it: a resumed run has as much left as an unbroken one.
            self._budget.charge(spending(answer.usage))
        model = recorded.get("model") or self.model
        return self._sample(request, Sampled(answer, 0, 0.0), digest, model, self.is_llm, replayed=True)

    def _failed(self, error: ModelError, request: Request, endpoint: Endpoint, outlay: Outlay) -> None:
        """Tell the observer. Raises: an overflow, which no fallback is asked about, and a wall limit."""
        tell(self._observer, request, endpoint, error)
        if isinstance(error, ContextOverflowError):
            raise error
        outlay.check_wall()

    def _taken(self, request: Request, sampled: Sampled, digest: str, endpoint: Endpoint) -> Sample:
        answer = sampled.answer
        answer.message = named(answer.message, request)
        return self._sample(request, sampled, digest, endpoint.model, endpoint.route.is_llm)

    def _sample(
        self,
        request: Request,
        sampled: Sampled,
        digest: str,
        model: str,
        is_llm: bool,
        *,
        replayed: bool = False,
    ) -> Sample:
        answer = sampled.answer
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
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        if prompt is None:
            prompt = self._primary.estimate(request.prompt.size, self._tools_size(request.tools))
        if completion is None:
            said = answer.message
            completion = (len(said.content) + sum(len(c.arguments) for c in said.tool_calls)) // 4
        return Sample(answer.message, answer.finish_reason, call, prompt, completion, answer.logprobs)

    def estimate(self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()) -> int:
        """Tokens of a prompt, from its size in bytes and the usage of earlier calls."""
        size = sum(len(piece.wire) for piece in self._primary.encoder.pieces(messages))
        return self._primary.estimate(size, self._tools_size(tools))

    def _tools_size(self, tools: Sequence[ToolSchema]) -> int:
        return len(self._core.tools.wire(tools)) if tools else 0

    def check_wall(self) -> None:
        """Raises: BudgetExceeded when the time that the calls may take is used up."""
        if self._budget is not None:
            self._budget.check_wall()

    async def close(self) -> None:
        """Close the connections of this event loop; every scope shares them."""
        for endpoint in self._core.endpoints:
            await endpoint.close()


def named(message: Message, request: Request) -> Message:
    """With an id for each call that no other call of the conversation has, the same under every replay."""
    taken = set(request.prompt.call_ids)
    calls = list(message.tool_calls)
    for number, call in enumerate(calls):
        if not call.id or call.id in taken:
            place = hashlib.sha256(f"{request.scope}\0{request.index}\0{number}".encode()).hexdigest()[:16]
            calls[number] = call._replace(id=f"call_{place}")
        taken.add(calls[number].id)
    return replace(message, tool_calls=tuple(calls)) if calls else message


def _ignore(text: str) -> None:
    """A listener for streams that only the inactivity limit needs."""
