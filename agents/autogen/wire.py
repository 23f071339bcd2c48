"""AutoGenWire: any AutoGen ChatCompletionClient as the model of a role, behind our retries, budget and record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult

from ...tools.body_limit import bound_client
from ...tools.errors import ModelError
from ..message import Message, ToolCall
from ..models.calls import Usage
from ..models.wire import Answer, Request, WireError
from .messages import to_autogen

_FINISH = {"function_calls": "tool_calls"}


class AutoGenWire:
    """Named by `module:object`: a client, or what makes one (a class or a function without arguments).
    Imported on the first call; one client serves every scope."""

    def __init__(self, dotted: str, *, is_llm: bool) -> None:
        self._dotted = dotted
        self._is_llm = is_llm
        self._client: ChatCompletionClient | None = None

    async def ready(self) -> None:
        """Raises: ModelError when there is no such client."""
        if self._client is None:
            self._client = await asyncio.to_thread(_load, self._dotted)
            bound_client(self._client)

    async def attempt(self, request: Request, key: str | None) -> Answer:
        assert self._client is not None
        messages, tools = to_autogen(request.messages), _schemas(request)
        try:
            async with asyncio.timeout(request.timeout_s):
                result = await self._client.create(messages, tools=tools)
        except TimeoutError:
            raise WireError("timeout", f"no answer within {request.timeout_s:g} s") from None
        except Exception as error:  # a client of somebody else's: whatever it raises is its failure
            if not self._is_llm:
                raise
            raise failure_of(error) from error
        answer = _answer(result, is_llm=self._is_llm)
        if request.on_text is not None and answer.message.content:
            request.on_text(answer.message.content)
        return answer

    def parameters(self, request: Request) -> None:
        """Nothing of a request reaches an endpoint of ours."""

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def failure_of(error: Exception) -> WireError:
    """By the HTTP status that SDK errors carry; without one it is final."""
    from ..models.failures import from_status

    status = getattr(error, "status_code", None)
    text = " ".join(str(error).split())[:300]
    if isinstance(status, int) and status >= 400:
        headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", None) or {}
        body: Any = getattr(error, "body", None)
        return from_status(status, body if isinstance(body, Mapping) else text, headers)
    return WireError("fatal", f"{type(error).__name__}: {text}")


def _answer(result: CreateResult, *, is_llm: bool) -> Answer:
    calls: tuple[ToolCall, ...] = ()
    content, reasoning = result.content, result.thought
    if not isinstance(content, str):
        calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in content)
        content, reasoning = result.thought or "", None
    usage = Usage(result.usage.prompt_tokens, result.usage.completion_tokens)
    return Answer(
        Message("assistant", content, reasoning, calls),
        _FINISH.get(result.finish_reason, result.finish_reason),
        usage if is_llm else Usage(prompt_tokens=0, completion_tokens=0, cost_usd=0.0),
    )


def _load(dotted: str) -> ChatCompletionClient:
    module, _, name = dotted.partition(":")
    try:
        found = getattr(import_module(module), name)
        client = found if isinstance(found, ChatCompletionClient) else found()
    except Exception as error:  # whatever the user's module does when it is imported or called
        raise ModelError(
            f"the model client {dotted} cannot be made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(client, ChatCompletionClient):
        raise ModelError(f"{dotted} is no AutoGen ChatCompletionClient and makes none")
    return client


def _schemas(request: Request) -> list[Any]:
    """AutoGen's ToolSchema is the inside of OpenAI's function shape."""
    return [dict(tool["function"]) for tool in request.tools]
